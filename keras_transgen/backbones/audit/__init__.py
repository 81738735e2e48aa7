"""The audit: what a SavedModel would do, read before TensorFlow loads anything of it."""

from keras_transgen.backbones.audit.audit_module import audit_module
from keras_transgen.backbones.audit.report import AuditReport, UnsafeModuleError, UnsafeOp
from keras_transgen.backbones.audit.trial import try_to_load

__all__ = ["AuditReport", "UnsafeModuleError", "UnsafeOp", "audit_module", "try_to_load"]
