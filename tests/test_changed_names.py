"""Old names of modules still lead somewhere, and removed ones say where to."""

import importlib
import importlib.util
import subprocess
import sys
import warnings

import keras
import pytest

import keras_transgen
from keras_transgen import changed_names
from keras_transgen.changed_names import MOVED, REMOVED


@pytest.fixture
def forgotten():
    """Forgets a name at once, so that it is imported anew, and again when the test ends."""
    names = []

    def forget(name):
        names.append(name)
        sys.modules.pop(name, None)

    yield forget
    for name in names:
        sys.modules.pop(name, None)


def test_a_moved_module_is_the_same_module_and_its_import_warns(monkeypatch, forgotten):
    monkeypatch.setitem(MOVED, "evaluation.old_place", "evaluation.distances")
    name = "keras_transgen.evaluation.old_place"
    forgotten(name)
    with pytest.warns(FutureWarning, match=r"keras_transgen\.evaluation\.distances now"):
        module = importlib.import_module(name)
    assert module is importlib.import_module("keras_transgen.evaluation.distances")
    assert module.__spec__.name == "keras_transgen.evaluation.distances"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        from keras_transgen.evaluation import old_place
    assert old_place is module


def test_files_below_a_folder_that_moved_are_no_second_modules(monkeypatch, forgotten):
    monkeypatch.setitem(MOVED, "measures", "evaluation")
    monkeypatch.setitem(MOVED, "measures.distances", "evaluation.distances")
    for name in ("keras_transgen.measures", "keras_transgen.measures.distances"):
        forgotten(name)
    with pytest.warns(FutureWarning, match="goes with version"):
        module = importlib.import_module("keras_transgen.measures.distances")
    assert module is importlib.import_module("keras_transgen.evaluation.distances")
    monkeypatch.setitem(MOVED, "fusion.measures", "evaluation.distances")
    forgotten("keras_transgen.fusion.measures")
    with pytest.warns(FutureWarning, match="goes with version"):
        assert keras_transgen.fusion.measures is module


def test_what_was_removed_says_what_to_use(monkeypatch):
    monkeypatch.setitem(REMOVED, "evaluation.gone", "use keras_transgen.evaluation.distances")
    with pytest.raises(ImportError, match=r"gone was removed: use .*distances"):
        importlib.import_module("keras_transgen.evaluation.gone")
    with pytest.raises(ImportError, match=r"gone was removed: use .*distances"):
        from keras_transgen.evaluation import gone  # noqa: F401
    monkeypatch.setitem(REMOVED, "fusion.Gone", "use GAN")
    with pytest.raises(AttributeError, match=r"keras_transgen\.fusion\.Gone was removed: use GAN"):
        _ = keras_transgen.fusion.Gone


@pytest.mark.parametrize("old", sorted(MOVED))
def test_every_moved_module_is_found_under_its_old_name(old, forgotten):
    name = f"keras_transgen.{old}"
    forgotten(name)
    with pytest.warns(FutureWarning, match="goes with version"):
        module = importlib.import_module(name)
    assert module.__name__ == f"keras_transgen.{MOVED[old]}"


@pytest.mark.parametrize("old", sorted(MOVED))
def test_an_old_module_does_not_hide_a_public_name(old, forgotten):
    room, _, name = f"keras_transgen.{old}".rpartition(".")
    public = vars(sys.modules.get(room, keras_transgen)).get(name)
    forgotten(f"{room}.{name}")
    with pytest.warns(FutureWarning, match="goes with version"):
        importlib.import_module(f"{room}.{name}")
    if callable(public):
        assert getattr(sys.modules[room], name) is public


def test_a_function_is_a_function_after_its_old_module_was_imported(forgotten):
    forgotten("keras_transgen.datasets.stratified_split")
    with pytest.warns(FutureWarning, match="goes with version"):
        from keras_transgen.datasets.stratified_split import stratified_split
    assert keras_transgen.datasets.stratified_split is stratified_split


def test_a_name_that_never_was_is_not_found():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("keras_transgen.evaluation.never")
    with pytest.raises(AttributeError, match="has no attribute 'never'"):
        _ = keras_transgen.fusion.never


def test_the_finder_is_installed_once():
    changed_names.find_moved_modules()
    finders = [each for each in sys.meta_path if type(each).__name__ == "_MovedModules"]
    assert len(finders) == 1


@pytest.mark.parametrize(
    "line",
    [
        "from keras_transgen.generative.gan import GAN",
        "from keras_transgen.generative import gan",
        "import keras_transgen; keras_transgen.generative.gan",
        "import keras_transgen.generative.gan",
    ],
)
def test_the_warning_names_the_line_that_imports(line, forgotten):
    forgotten("keras_transgen.generative.gan")
    vars(importlib.import_module("keras_transgen.generative")).pop("gan", None)
    with pytest.warns(FutureWarning) as told:
        exec(compile("\n\n" + line, "/home/user/script.py", "exec"), {})
    assert [(each.filename, each.lineno) for each in told] == [("/home/user/script.py", 3)]


@pytest.mark.slow
def test_the_package_itself_uses_no_old_name():
    code = (
        "import importlib, pkgutil, warnings, keras_transgen\n"
        "warnings.filterwarnings('error', '.*the old name goes', FutureWarning)\n"
        "for each in pkgutil.walk_packages(keras_transgen.__path__, 'keras_transgen.'):\n"
        "    if not each.name.endswith('__main__'): importlib.import_module(each.name)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_nothing_else_is_found_below_a_package_that_moved():
    """Its new place has a module of that name, which would be there twice."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        importlib.import_module("keras_transgen.transfer.subspace")
    with pytest.raises(ModuleNotFoundError, match="transfer_model"):
        importlib.import_module("keras_transgen.transfer.subspace.transfer_model")
    model = importlib.import_module("keras_transgen.transfer.transfer_model").TransferModel
    assert keras.saving.get_registered_object("keras_transgen>TransferModel") is model


OLD = [
    "backbones.adopted_variable",
    "backbones.archives",
    "backbones.array_archive",
    "backbones.audit.allowed_ops",
    "backbones.audit.at_load",
    "backbones.audit.attributes",
    "backbones.audit.audit_module",
    "backbones.audit.calls",
    "backbones.audit.constants",
    "backbones.audit.module_graph",
    "backbones.audit.names",
    "backbones.audit.objects",
    "backbones.audit.ordering",
    "backbones.audit.registered_ops",
    "backbones.audit.report",
    "backbones.audit.savers",
    "backbones.audit.trial",
    "backbones.audit.wire",
    "backbones.backbone",
    "backbones.batch_source",
    "backbones.connection_watch",
    "backbones.digits",
    "backbones.downloads",
    "backbones.extraction",
    "backbones.feature_cache",
    "backbones.feature_function",
    "backbones.feature_scales",
    "backbones.file_lock",
    "backbones.flat_function",
    "backbones.folder_removal",
    "backbones.handles",
    "backbones.input_contract",
    "backbones.kept_modules",
    "backbones.keras_archive",
    "backbones.keras_model",
    "backbones.load",
    "backbones.load_model",
    "backbones.module_cache",
    "backbones.module_files",
    "backbones.module_function",
    "backbones.module_packing",
    "backbones.module_store",
    "backbones.module_taps",
    "backbones.parameter_groups",
    "backbones.private_archive",
    "backbones.private_folder",
    "backbones.publishing",
    "backbones.registered_modules",
    "backbones.saved_model",
    "backbones.saved_model_folder",
    "callbacks.annealing",
    "callbacks.collapse_warning",
    "callbacks.epoch_pictures",
    "callbacks.latent_projector",
    "callbacks.latent_traversal",
    "callbacks.reconstruction_grid",
    "callbacks.sample_grid",
    "callbacks.sample_quality",
    "callbacks.translation_grid",
    "cli.application",
    "cli.demo",
    "cli.demo_generation",
    "cli.evaluate",
    "cli.extract",
    "cli.generate",
    "cli.image_input",
    "cli.inspect",
    "cli.stylize",
    "cli.transfer",
    "cli.translate",
    "cli.translate_apply",
    "cli.translate_train",
    "cli.tune",
    "cli.tune_data",
    "cli.tune_report",
    "cli.tune_search",
    "datasets.digits",
    "datasets.few_shot",
    "datasets.idx",
    "datasets.image_check",
    "datasets.image_file",
    "datasets.image_folder",
    "datasets.image_index",
    "datasets.image_pairs",
    "datasets.image_size",
    "datasets.printable",
    "datasets.screen",
    "datasets.stratified_split",
    "distributed.actors",
    "distributed.cluster",
    "distributed.feature_extraction",
    "distributed.packed_model",
    "distributed.parquet_folder",
    "distributed.ray_extra",
    "distributed.ray_training",
    "distributed.sampling",
    "distributed.shared_backup",
    "evaluation.accuracy_scores",
    "evaluation.active_units",
    "evaluation.distances",
    "evaluation.extractor_identity",
    "evaluation.feature_extractor",
    "evaluation.feature_matrix",
    "evaluation.feature_stream",
    "evaluation.precision_recall",
    "evaluation.sample_quality",
    "evaluation.streaming_statistics",
    "fusion.backbone_unet",
    "fusion.decoding_by_scale",
    "fusion.enlarging",
    "fusion.feature_gan",
    "fusion.feature_scale",
    "fusion.feature_vae",
    "fusion.generated_data",
    "fusion.generator_transfer",
    "fusion.low_rank",
    "fusion.mixing_weight",
    "fusion.multi_scale_features",
    "fusion.perceptual_loss",
    "fusion.pretrained_encoder",
    "fusion.pretrained_vae",
    "fusion.projected_discriminator",
    "fusion.semi_supervised",
    "generative.active_units_metric",
    "generative.adversarial_losses",
    "generative.adversarial_model",
    "generative.adversarial_networks",
    "generative.adversarial_noise",
    "generative.adversarial_steps",
    "generative.architecture_record",
    "generative.augmentation",
    "generative.beta_schedules",
    "generative.condition_checks",
    "generative.conditional_gan",
    "generative.config_values",
    "generative.discretized_logistic",
    "generative.distribution_config",
    "generative.gan",
    "generative.generative_model",
    "generative.gradient_penalties",
    "generative.importance_sampling",
    "generative.kl",
    "generative.latent_variable_model",
    "generative.likelihoods",
    "generative.moving_average",
    "generative.networks.conditioning",
    "generative.networks.convolutional",
    "generative.networks.dcgan",
    "generative.networks.dense",
    "generative.networks.dense_gan",
    "generative.networks.normalization",
    "generative.networks.patch_discriminator",
    "generative.networks.reflection_padding",
    "generative.networks.residual_enhancer",
    "generative.networks.residual_translator",
    "generative.networks.sngan",
    "generative.networks.style_network",
    "generative.networks.style_normalization",
    "generative.networks.unet",
    "generative.networks.value_range",
    "generative.one_replica",
    "generative.one_stage",
    "generative.players_optimizers",
    "generative.priors",
    "generative.serving",
    "generative.translation.cycle_step",
    "generative.translation.cyclegan",
    "generative.translation.degradations",
    "generative.translation.dropout_masks",
    "generative.translation.enhancement",
    "generative.translation.image_optimization",
    "generative.translation.image_pool",
    "generative.translation.pairs_check",
    "generative.translation.pix2pix",
    "generative.translation.style_features",
    "generative.translation.style_images",
    "generative.translation.style_losses",
    "generative.translation.style_transfer",
    "generative.translation.translation_model",
    "generative.translation.unpaired_batches",
    "generative.translation.vgg",
    "generative.vae",
    "plotting.appearance",
    "plotting.confusion_matrix",
    "plotting.few_shot_chart",
    "plotting.latent_map",
    "plotting.learning_curves",
    "plotting.learning_rate_finder",
    "plotting.method_comparison",
    "plotting.mosaic",
    "plotting.parallel_coordinates",
    "plotting.sample_grid",
    "plotting.save_figure",
    "plotting.translations",
    "plotting.traversal",
    "training.absent_replica",
    "training.compilation",
    "training.config_from_file",
    "training.config_numbers",
    "training.epoch_shuffle",
    "training.fit_data",
    "training.gradients",
    "training.iterator_end",
    "training.nan_guard",
    "training.progress",
    "training.refusal",
    "training.replica_batches",
    "training.replica_noise",
    "training.serving",
    "training.step_function",
    "training.stored_model",
    "training.trainer",
    "training.variable_limit",
    "training.weight_file",
    "training.whole_file",
    "training.worker_agreement",
    "training.worker_statistics",
    "training.zip_limits",
    "transfer.cached_features",
    "transfer.data_checks",
    "transfer.deltas.adapter",
    "transfer.deltas.copy",
    "transfer.deltas.delta",
    "transfer.deltas.delta_file",
    "transfer.deltas.delta_set",
    "transfer.deltas.group_delta",
    "transfer.deltas.ia3",
    "transfer.deltas.lora",
    "transfer.deltas.parameter_delta",
    "transfer.deltas.reinitialize",
    "transfer.deltas.selection",
    "transfer.deltas.targets",
    "transfer.feature",
    "transfer.feature_batches",
    "transfer.few_shot",
    "transfer.head_fitting",
    "transfer.heads",
    "transfer.lbfgs",
    "transfer.learning_rate_finder",
    "transfer.learning_rate_suggestion",
    "transfer.linear_probe",
    "transfer.linear_regressions",
    "transfer.neighbours",
    "transfer.parameter",
    "transfer.parameter_table",
    "transfer.rotated_features",
    "transfer.schedules",
    "transfer.serving",
    "transfer.structure",
    "transfer.subspace.coral",
    "transfer.subspace.domain_adaptation",
    "transfer.subspace.domain_transformer",
    "transfer.subspace.maximum_mean_discrepancy",
    "transfer.subspace.subspace_alignment",
    "transfer.subspace.transfer_components",
    "transfer.tasks",
    "transfer.training_data",
    "transfer.transfer_model",
    "tuning.chief",
    "tuning.conditional_gan",
    "tuning.domains",
    "tuning.gan",
    "tuning.objective_check",
    "tuning.package_hyper_model",
    "tuning.search_space",
    "tuning.shared_features",
    "tuning.transfer",
    "tuning.trial_backbones",
    "tuning.trials",
    "tuning.vae",
    "tuning.worker_watch",
]


@pytest.mark.parametrize("name", OLD)
def test_every_module_of_the_version_before_is_there_or_says_what_to_use(name):
    if name in MOVED or name in REMOVED:
        return
    assert importlib.util.find_spec(f"keras_transgen.{name}") is not None
