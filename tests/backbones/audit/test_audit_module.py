"""The audit reads real SavedModels, and nothing of a refused one has run."""

from pathlib import Path

import keras
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_transgen.backbones.audit import UnsafeModuleError, allowed_ops, audit_module

VECTOR = tf.TensorSpec([None, 3], tf.float32)
TEXT = tf.TensorSpec([None], tf.string)


def save(folder, call, specification=VECTOR, options=None, **attributes):
    """Saves a module whose `__call__` is `call`, and gives its folder."""
    module = tf.Module()
    for name, value in attributes.items():
        setattr(module, name, value)
    module.__call__ = tf.function(call, input_signature=[specification])
    concrete = module.__call__.get_concrete_function()
    tf.saved_model.save(module, str(folder), {"serving_default": concrete}, options)
    return folder


def refused(folder):
    """The audit's error, after checking that it is one."""
    with pytest.raises(UnsafeModuleError) as caught:
        audit_module(folder)
    assert "allow_unsafe_ops=True" in str(caught.value)
    return caught.value


def edit(folder, change):
    """Applies `change` to the folder's SavedModel protocol buffer, as an attacker could."""
    file = Path(folder) / "saved_model.pb"
    saved_model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    change(saved_model.meta_graphs[0])
    file.write_bytes(saved_model.SerializeToString())


class Planted(tf.saved_model.experimental.TrackableResource):
    """A resource that writes a file when it is initialised, which loading does (fact 28)."""

    def __init__(self, target):
        super().__init__()
        self._target = str(target)

    def _create_resource(self):
        return tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=[], shared_name="planted")

    def _initialize(self):
        tf.io.write_file(self._target, "written while loading")
        tf.raw_ops.AssignVariableOp(resource=self.resource_handle, value=1.0)


class TestWriting:
    def test_module_that_writes_while_it_is_loaded(self, tmp_path):
        target = tmp_path / "planted.txt"
        module = tf.Module()
        module.resource = Planted(target)
        module.__call__ = tf.function(lambda x: 2.0 * x, input_signature=[VECTOR])
        tf.saved_model.save(module, str(tmp_path / "module"))
        target.unlink(missing_ok=True)

        error = refused(tmp_path / "module")

        assert not target.exists()
        assert "WriteFile writes a file" in str(error)
        assert "run while loading: resource._initialize" in str(error)
        # The threat is real: the same folder does write when TensorFlow loads it.
        tf.saved_model.load(str(tmp_path / "module"))
        assert target.exists()

    def test_in_a_branch(self, tmp_path):
        def write():
            tf.io.write_file(str(tmp_path / "x"), "x")
            return 1.0

        def call(x):
            return x * tf.cond(tf.reduce_sum(x) > 1e9, write, lambda: 2.0)

        error = refused(save(tmp_path / "module", call))
        assert {found.op for found in error.report.unsafe} == {"WriteFile"}
        assert all("cond_true" in found.where for found in error.report.unsafe)
        assert any("__call__" in found.where for found in error.report.unsafe)

    def test_in_a_loop(self, tmp_path):
        def body(i):
            tf.io.write_file(str(tmp_path / "x"), "x")
            return (i + 1,)

        def call(x):
            return x * tf.cast(tf.while_loop(lambda i: i < 0, body, (0,))[0], tf.float32)

        error = refused(save(tmp_path / "module", call))
        assert {found.op for found in error.report.unsafe} == {"WriteFile"}

    def test_in_a_gradient(self, tmp_path):
        @tf.custom_gradient
        def identity(x):
            def gradient(upstream):
                tf.io.write_file(str(tmp_path / "x"), "x")
                return upstream

            return tf.identity(x), gradient

        options = tf.saved_model.SaveOptions(experimental_custom_gradients=True)
        error = refused(save(tmp_path / "module", lambda x: identity(x * 1.0), options=options))
        assert "WriteFile" in {found.op for found in error.report.unsafe}

    def test_in_a_function_that_nothing_reaches(self, tmp_path):
        folder = save(tmp_path / "module", lambda x: 2.0 * x)

        def change(meta_graph):
            function = meta_graph.graph_def.library.function.add()
            function.signature.name = "hidden"
            function.node_def.add(name="write", op="WriteFile")

        edit(folder, change)
        assert "function hidden" in str(refused(folder))

    def test_printing_to_a_file(self, tmp_path):
        def call(x):
            tf.print(x, output_stream=f"file://{tmp_path}/printed")
            return x

        assert "prints to the file" in str(refused(save(tmp_path / "module", call)))

    def test_printing_to_the_terminal_is_fine(self, tmp_path):
        def call(x):
            tf.print(x)
            return x

        assert audit_module(save(tmp_path / "module", call)).unsafe == ()

    def test_saver_op_out_of_place(self, tmp_path):
        def call(x):
            tf.raw_ops.SaveV2(
                prefix=str(tmp_path / "stolen"),
                tensor_names=["x"],
                shape_and_slices=[""],
                tensors=[x],
            )
            return x

        folder = save(tmp_path / "module", call, weight=tf.Variable(1.0))
        error = refused(folder)
        assert {found.op for found in error.report.unsafe} == {"SaveV2"}
        assert "outside the functions that save and restore" in str(error)

    def test_saver_function_called_by_another(self, tmp_path):
        """The saver's own function is tolerated only as long as nobody else calls it."""
        folder = save(tmp_path / "module", lambda x: 2.0 * x, weight=tf.Variable(1.0))
        assert audit_module(folder).unsafe == ()

        def change(meta_graph):
            functions = meta_graph.graph_def.library.function
            saver = next(f for f in functions if "traced_save" in f.signature.name)
            other = next(f for f in functions if "traced" not in f.signature.name)
            call = other.node_def.add(name="sneak", op="StatefulPartitionedCall")
            call.attr["f"].func.name = saver.signature.name

        edit(folder, change)
        assert {found.op for found in refused(folder).report.unsafe} >= {"SaveV2"}

    @pytest.mark.parametrize("disguise", ["op", "text", "implementation", "object"])
    def test_saver_function_reached_by_a_trick(self, tmp_path, disguise):
        folder = save(tmp_path / "module", lambda x: 2.0 * x, weight=tf.Variable(1.0))

        def change(meta_graph):
            functions = meta_graph.graph_def.library.function
            saver = next(f for f in functions if "traced_save" in f.signature.name)
            other = next(f for f in functions if "traced" not in f.signature.name)
            name = saver.signature.name
            if disguise == "op":
                other.node_def.add(name="sneak", op=name)
            elif disguise == "text":
                other.attr["backward_function_name"].s = name.encode()
            elif disguise == "implementation":
                saver.attr["api_implements"].s = b"shared"
            else:
                meta_graph.object_graph_def.concrete_functions[name].SetInParent()

        edit(folder, change)
        assert "SaveV2" in {found.op for found in refused(folder).report.unsafe}

    def test_restoring_from_elsewhere(self, tmp_path):
        folder = save(tmp_path / "module", lambda x: 2.0 * x, weight=tf.Variable(1.0))

        def change(meta_graph):
            path = meta_graph.graph_def.node.add(name="elsewhere", op="Const")
            path.attr["value"].tensor.string_val.append(b"/etc/secret")
            restore = meta_graph.saver_def.restore_op_name
            for node in meta_graph.graph_def.node:
                if node.name == restore:
                    node.input[0] = "elsewhere"

        edit(folder, change)
        assert "RestoreV2 reads a checkpoint whose path comes from" in str(refused(folder))


class TestReading:
    def test_a_file_that_is_no_asset(self, tmp_path):
        secret = tmp_path / "secret.txt"
        secret.write_text("1.0")

        def call(x):
            return x * tf.strings.to_number(tf.io.read_file(str(secret)))

        error = refused(save(tmp_path / "module", call))
        assert "reads a file that is no asset: its name comes from the Const" in str(error)

    def test_a_file_that_the_caller_names(self, tmp_path):
        folder = save(tmp_path / "module", tf.io.read_file, tf.TensorSpec([], tf.string))
        assert "an argument of the caller" in str(refused(folder))

    def test_an_asset(self, tmp_path):
        (tmp_path / "scale.txt").write_text("2.0")
        asset = tf.saved_model.Asset(str(tmp_path / "scale.txt"))
        scale = asset.asset_path

        def call(x):
            return x * tf.strings.to_number(tf.io.read_file(scale))

        report = audit_module(save(tmp_path / "module", call, asset=asset))
        assert report.unsafe == ()
        assert report.loads_assets == ("scale.txt",)

    def test_an_asset_that_lies_outside(self, tmp_path):
        (tmp_path / "scale.txt").write_text("2.0")
        asset = tf.saved_model.Asset(str(tmp_path / "scale.txt"))
        folder = save(tmp_path / "module", lambda x: x, asset=asset)

        def change(meta_graph):
            meta_graph.asset_file_def[0].filename = "../../scale.txt"

        edit(folder, change)
        assert "lies outside: ../../scale.txt" in str(refused(folder))

    def test_vocabulary_from_an_asset(self, tmp_path):
        (tmp_path / "vocabulary.txt").write_text("ant\nbee\n")
        table = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                str(tmp_path / "vocabulary.txt"),
                tf.string,
                tf.lookup.TextFileIndex.WHOLE_LINE,
                tf.int64,
                tf.lookup.TextFileIndex.LINE_NUMBER,
            ),
            -1,
        )
        folder = save(tmp_path / "module", table.lookup, TEXT, table=table)
        report = audit_module(folder)
        assert report.ops["InitializeTableFromTextFileV2"] >= 1
        assert report.loads_assets == ("vocabulary.txt",)
        (tmp_path / "vocabulary.txt").unlink()
        loaded = tf.saved_model.load(str(folder))
        assert loaded(tf.constant(["bee", "cat"])).numpy().tolist() == [1, -1]

    def test_vocabulary_turned_to_another_file(self, tmp_path):
        (tmp_path / "vocabulary.txt").write_text("ant\nbee\n")
        initializer = tf.lookup.TextFileInitializer(
            str(tmp_path / "vocabulary.txt"),
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        )
        table = tf.lookup.StaticHashTable(initializer, -1)
        folder = save(tmp_path / "module", table.lookup, TEXT, table=table)

        def change(meta_graph):
            for function in meta_graph.graph_def.library.function:
                for node in function.node_def:
                    if node.op == "InitializeTableFromTextFileV2":
                        path = function.node_def.add(name="elsewhere", op="Const")
                        path.attr["value"].tensor.string_val.append(b"/etc/passwd")
                        node.input[1] = "elsewhere:output:0"
                        return

        edit(folder, change)
        assert "InitializeTableFromTextFileV2 reads a file" in str(refused(folder))

    def test_sampler_with_a_vocabulary_file(self, tmp_path):
        def call(x):
            sampled = tf.random.fixed_unigram_candidate_sampler(
                tf.constant([[0]], tf.int64), 1, 1, True, 2, unigrams=[0.5, 0.5]
            )
            return x * tf.cast(sampled[0][0], tf.float32)

        folder = save(tmp_path / "module", call)
        assert audit_module(folder).unsafe == ()

        def change(meta_graph):
            for function in meta_graph.graph_def.library.function:
                for node in function.node_def:
                    if node.op == "FixedUnigramCandidateSampler":
                        node.attr["vocab_file"].s = b"/etc/passwd"

        edit(folder, change)
        assert "reads the file /etc/passwd" in str(refused(folder))


class TestPython:
    def test_python_functions(self, tmp_path):
        def call(x):
            return tf.py_function(lambda v: v, [x], tf.float32) + tf.numpy_function(
                lambda v: v, [x], tf.float32
            )

        error = refused(save(tmp_path / "module", call))
        assert {found.op for found in error.report.unsafe} == {"EagerPyFunc", "PyFunc"}
        assert "calls Python code" in str(error)

    def test_custom_op(self, tmp_path):
        folder = save(tmp_path / "module", lambda x: 2.0 * x)

        def change(meta_graph):
            meta_graph.graph_def.node.add(name="custom", op="Somebodys>Op")

        edit(folder, change)
        assert "Somebodys>Op is not among the ops that a network needs" in str(refused(folder))

    def test_data_set(self, tmp_path):
        def call(x):
            return x * tf.data.Dataset.range(3).reduce(
                0.0, lambda total, i: total + tf.cast(i, tf.float32)
            )

        assert "belongs to an input pipeline" in str(refused(save(tmp_path / "module", call)))

    def test_opaque_constant(self, tmp_path):
        folder = save(tmp_path / "module", lambda x: 2.0 * x)

        def change(meta_graph):
            node = meta_graph.graph_def.node.add(name="opaque", op="Const")
            node.attr["value"].tensor.dtype = tf.variant.as_datatype_enum
            node.attr["value"].tensor.variant_val.add(type_name="tensorflow::DatasetWrapper")

        edit(folder, change)
        assert "a constant that can hide" in str(refused(folder))

    def test_allowed_on_request(self, tmp_path):
        folder = save(tmp_path / "module", lambda x: tf.py_function(lambda v: v, [x], tf.float32))
        report = audit_module(folder, allow_unsafe_ops=True)
        assert {found.op for found in report.unsafe} == {"EagerPyFunc"}


class TestOrdinaryModules:
    def test_keras_export(self, tmp_path):
        model = keras.Sequential(
            [
                keras.Input((8, 8, 3)),
                keras.layers.RandomFlip(),
                keras.layers.Conv2D(2, 3),
                keras.layers.BatchNormalization(),
                keras.layers.Dropout(0.5),
                keras.layers.GlobalAveragePooling2D(),
                keras.layers.Dense(2, "softmax"),
            ]
        )
        model.export(str(tmp_path / "module"), verbose=False)
        report = audit_module(tmp_path / "module")
        assert report.unsafe == ()
        assert "serve" in report.signatures
        assert "serving_default" in report.signatures

    def test_recurrent_text_model_of_keras(self, tmp_path):
        vectorize = keras.layers.TextVectorization(8, output_sequence_length=4)
        vectorize.adapt(["an ant", "a bee", "a bee"])
        model = keras.Sequential(
            [
                keras.Input((), dtype="string"),
                vectorize,
                keras.layers.Embedding(8, 2),
                keras.layers.Bidirectional(keras.layers.LSTM(2)),
            ]
        )
        model.export(str(tmp_path / "module"), verbose=False)
        assert audit_module(tmp_path / "module").unsafe == ()

    def test_attention(self, tmp_path):
        inputs = keras.Input((4, 8))
        outputs = keras.layers.MultiHeadAttention(2, 4)(inputs, inputs)
        outputs = keras.layers.LayerNormalization()(keras.layers.Activation("gelu")(outputs))
        keras.Model(inputs, outputs).export(str(tmp_path / "module"), verbose=False)
        assert audit_module(tmp_path / "module").unsafe == ()

    @pytest.mark.slow
    def test_keras_2_text_vectorization(self, tmp_path):
        tf_keras = pytest.importorskip("tf_keras")
        vectorize = tf_keras.layers.TextVectorization(output_sequence_length=4)
        vectorize.adapt(["an ant", "a bee"])
        model = tf_keras.Sequential(
            [
                tf_keras.Input((1,), dtype="string"),
                vectorize,
                tf_keras.layers.Embedding(8, 2),
                tf_keras.layers.GRU(2),
            ]
        )
        model.save(str(tmp_path / "module"), save_format="tf")
        report = audit_module(tmp_path / "module")
        assert report.unsafe == ()
        assert report.call_takes_training is True

    def test_text(self, tmp_path):
        keys = tf.constant(["ant", "bee"])
        table = tf.lookup.StaticVocabularyTable(
            tf.lookup.KeyValueTensorInitializer(keys, tf.constant([0, 1], tf.int64)), 2
        )
        counts = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, 0)

        def call(text):
            words = tf.strings.split(tf.strings.regex_replace(tf.strings.lower(text), "[.,]", ""))
            return table.lookup(words).to_tensor() + counts.lookup(words.to_tensor())

        folder = save(tmp_path / "module", call, TEXT, table=table, counts=counts)
        assert audit_module(folder).unsafe == ()

    def test_image_decoding(self, tmp_path):
        def decode(data):
            image = tf.io.decode_image(data, 3, expand_animations=False, dtype=tf.float32)
            return tf.image.resize(image, [4, 4])

        def call(batch):
            return tf.map_fn(decode, batch, fn_output_signature=tf.float32)

        assert audit_module(save(tmp_path / "module", call, TEXT)).unsafe == ()

    def test_optimizer_step_inside(self, tmp_path):
        """Modules of TF1 style carry their training ops, which are computation."""
        weight = tf.Variable(1.0)

        def call(x):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(weight * x)
            tf.raw_ops.ResourceApplyGradientDescent(
                var=weight.handle, alpha=0.1, delta=tape.gradient(loss, weight)
            )
            return loss

        assert audit_module(save(tmp_path / "module", call, weight=weight)).unsafe == ()

    def test_module_of_tensorflow_1(self, tmp_path):
        (tmp_path / "vocabulary.txt").write_text("ant\nbee\n")
        v1 = tf.compat.v1
        with tf.Graph().as_default(), v1.Session() as session:
            words = v1.placeholder(tf.string, [None])
            table = tf.lookup.StaticHashTable(
                tf.lookup.TextFileInitializer(
                    str(tmp_path / "vocabulary.txt"),
                    tf.string,
                    tf.lookup.TextFileIndex.WHOLE_LINE,
                    tf.int64,
                    tf.lookup.TextFileIndex.LINE_NUMBER,
                ),
                -1,
            )
            weights = v1.get_variable("weights", [2], initializer=v1.ones_initializer())
            outputs = tf.gather(weights, tf.maximum(table.lookup(words), 0))
            session.run([v1.global_variables_initializer(), v1.tables_initializer()])
            v1.saved_model.simple_save(
                session,
                str(tmp_path / "module"),
                {"words": words},
                {"outputs": outputs},
                v1.tables_initializer(),
            )
        report = audit_module(tmp_path / "module")
        assert report.unsafe == ()
        assert report.loads_assets == ("vocabulary.txt",)
        assert report.has_call is False
        assert report.call_takes_training is None

        def run_at_load(meta_graph):
            saver = meta_graph.saver_def
            for node in meta_graph.graph_def.node:
                if node.name == saver.restore_op_name:
                    node.input.append("^" + saver.save_tensor_name.partition(":")[0])

        edit(tmp_path / "module", run_at_load)
        assert "SaveV2 writes a checkpoint when the module is loaded" in str(
            refused(tmp_path / "module")
        )

    def test_signature_of_tensorflow_1_that_reads_an_asset(self, tmp_path):
        """TensorFlow tells the asset's new path to the initializer only; a signature would read
        whatever path the file says."""
        (tmp_path / "vocabulary.txt").write_text("ant")
        v1 = tf.compat.v1
        with tf.Graph().as_default(), v1.Session() as session:
            words = v1.placeholder(tf.string, [None])
            path = tf.constant(str(tmp_path / "vocabulary.txt"))
            v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, path)
            outputs = tf.strings.join([words, tf.io.read_file(path)])
            builder = v1.saved_model.Builder(str(tmp_path / "module"))
            signature = v1.saved_model.predict_signature_def({"w": words}, {"o": outputs})
            builder.add_meta_graph_and_variables(
                session,
                ["serve"],
                {"serving_default": signature},
                assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
            )
            builder.save()
        error = refused(tmp_path / "module")
        assert {found.op for found in error.report.unsafe} == {"ReadFile"}

    @pytest.mark.shared_data
    @pytest.mark.parametrize(
        "name",
        [
            "mobilenet_v2_100_224_feature_vector",
            "mobilenet_v1_025_224_feature_vector",
            "mobilenet_v1_025_224_classification",
        ],
    )
    def test_real_modules(self, shared_folder, name):
        report = audit_module(shared_folder / "hub" / name)
        assert report.unsafe == ()
        assert report.has_call
        assert report.call_takes_training is True
        assert report.signatures == ("serving_default",)


class TestReport:
    def test_call(self, tmp_path):
        module = tf.Module()
        module.__call__ = tf.function(lambda x, training=False: x * 2.0)
        for training in (True, False):
            module.__call__.get_concrete_function(VECTOR, training=training)
        tf.saved_model.save(module, str(tmp_path / "module"))
        report = audit_module(tmp_path / "module")
        assert report.call_takes_training is True
        assert report.has_call
        assert report.signatures == ()
        assert report.ops["Mul"] == 2

    def test_call_without_training(self, tmp_path):
        assert audit_module(save(tmp_path / "m", lambda x: x)).call_takes_training is False

    def test_call_with_any_keyword(self, tmp_path):
        module = tf.Module()
        module.__call__ = tf.function(lambda *args, **kwargs: args[0] * 2.0)
        module.__call__.get_concrete_function(VECTOR, training=True)
        tf.saved_model.save(module, str(tmp_path / "module"))
        assert audit_module(tmp_path / "module").call_takes_training is True


class TestFiles:
    def test_no_module(self, tmp_path):
        with pytest.raises(ValueError, match="Expected a SavedModel's folder"):
            audit_module(tmp_path)

    @pytest.mark.parametrize("content", [b"", b"no protocol buffer", None])
    def test_broken_file(self, tmp_path, content):
        folder = save(tmp_path / "module", lambda x: 2.0 * x)
        file = folder / "saved_model.pb"
        file.write_bytes(file.read_bytes()[:-100] if content is None else content)
        with pytest.raises(ValueError, match="truncated or no SavedModel"):
            audit_module(folder, allow_unsafe_ops=True)

    def test_text_form_is_refused(self, tmp_path):
        """TensorFlow reads saved_model.pbtxt where there is no saved_model.pb; we do not."""
        folder = save(tmp_path / "module", lambda x: 2.0 * x)
        file = folder / "saved_model.pb"
        saved_model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
        file.with_suffix(".pbtxt").write_text(str(saved_model))
        file.unlink()
        with pytest.raises(ValueError, match="must be exported in binary form"):
            audit_module(folder)


def test_table_names_real_ops():
    """A misspelt name would refuse good modules; a harmful one would let bad modules in."""
    known = {name for name in dir(tf.raw_ops) if not name.startswith("_")}
    text = set(allowed_ops._FAMILIES["TensorFlow Text"].split())
    internal = {name for name in allowed_ops.ALLOWED_OPS if name.startswith("_")}
    missing = allowed_ops.ALLOWED_OPS - known - text - internal
    assert {name for name in missing if name not in _registered_ops()} == set()
    harmful = {"WriteFile", "ReadFile", "PyFunc", "EagerPyFunc", "PyFuncStateless", "SaveV2"}
    harmful |= {"MatchingFiles", "TextLineReader", "DebugIdentity", "RemoteCall", "Abort"}
    assert not harmful & allowed_ops.ALLOWED_OPS
    readers = allowed_ops.SAVE_OPS | allowed_ops.RESTORE_OPS | set(allowed_ops.ASSET_READERS)
    assert not readers & allowed_ops.ALLOWED_OPS


def _registered_ops():
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python.client import pywrap_tf_session

    return {
        op.name
        for op in op_def_pb2.OpList.FromString(
            pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList())
        ).op
    }
