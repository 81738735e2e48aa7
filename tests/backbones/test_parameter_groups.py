import pytest

from keras_transgen.backbones.parameter_groups import group_by_block


def names(paths):
    return [
        group.name for group in group_by_block(paths, list(range(len(paths))), [True] * len(paths))
    ]


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        # keras.applications' MobileNetV2
        (
            [
                "Conv1/kernel",
                "bn_Conv1/gamma",
                "expanded_conv_depthwise/depthwise_kernel",
                "expanded_conv_depthwise_BN/gamma",
                "expanded_conv_project/kernel",
                "block_1_expand/kernel",
                "block_1_expand_BN/gamma",
                "block_10_expand/kernel",
                "Conv_1/kernel",
                "Conv_1_bn/gamma",
            ],
            ["Conv1", "expanded_conv", "block_1", "block_10", "Conv_1"],
        ),
        # TF-slim, one scope around everything
        (
            [
                "MobilenetV2/Conv/weights",
                "MobilenetV2/Conv/BatchNorm/gamma",
                "MobilenetV2/expanded_conv/depthwise/weights",
                "MobilenetV2/expanded_conv_1/expand/weights",
                "MobilenetV2/expanded_conv_1/project/weights",
            ],
            ["Conv", "expanded_conv", "expanded_conv_1"],
        ),
        # EfficientNet
        (
            ["stem_conv/kernel", "stem_bn/gamma", "block1a_dwconv/kernel", "block2d_dwconv/kernel"],
            ["stem", "block1a", "block2d"],
        ),
        # BERT
        (
            [
                "bert/embeddings/word/table",
                "bert/embeddings/position/table",
                "bert/encoder/layer_0/attention/query/kernel",
                "bert/encoder/layer_0/output/LayerNorm/gamma",
                "bert/encoder/layer_1/attention/query/kernel",
            ],
            ["embeddings", "encoder/layer_0", "encoder/layer_1"],
        ),
        # names that Keras makes up
        (
            [
                "conv2d/kernel",
                "batch_normalization/gamma",
                "conv2d_1/kernel",
                "batch_normalization_1/gamma",
                "dense/kernel",
                "conv2d_transpose/kernel",
            ],
            ["conv2d", "conv2d_1", "dense", "conv2d_transpose"],
        ),
    ],
)
def test_blocks_of_well_known_networks(paths, expected):
    assert names(paths) == expected


def test_statistics_stay_with_their_block_but_are_no_parameters():
    paths = ["block_1_conv/kernel", "block_1_bn/moving_mean", "block_2_bn/moving_mean"]
    (group,) = group_by_block(paths, ["kernel", "mean", "other"], [True, False, False])
    assert (group.name, group.variables, group.statistics) == ("block_1", ("kernel",), ("mean",))


def test_one_variable_without_any_layer():
    assert names(["kernel"]) == ["network"]
