"""`jit_compile="auto"`: which networks XLA makes faster on a CPU."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.training.compilation import prefers_xla

L = keras.layers


class OwnLoop(keras.Model):
    """Steps a cell by itself."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def call(self, x):
        _, (state, *_) = self.cell(x[:, 0], self.cell.get_initial_state(x.shape[0]))
        return state


@pytest.fixture
def on_a_cpu(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [])


@pytest.fixture
def on_a_gpu(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: ["GPU:0"])


def recurrent():
    cells = [L.GRUCell(2), L.SimpleRNNCell(2)]
    return {
        "LSTM": L.LSTM(2),
        "GRU": L.GRU(2),
        "SimpleRNN": L.SimpleRNN(2),
        "ConvLSTM1D": L.ConvLSTM1D(2, 3),
        "bidirectional": L.Bidirectional(L.LSTM(2)),
        "cell in an RNN": L.RNN(L.LSTMCell(2)),
        "cells in an RNN": L.RNN(cells),
        "nested": keras.Sequential([keras.Sequential([L.Dense(3), L.GRU(2)]), L.Dense(1)]),
        "time distributed": L.TimeDistributed(L.GRU(2)),
    }


@pytest.mark.parametrize("name", recurrent())
def test_recurrent_networks_are_left_alone_on_a_cpu(name, on_a_cpu):
    assert not prefers_xla(keras.Sequential([recurrent()[name], L.Dense(1)]))


@pytest.mark.parametrize("cell", [L.LSTMCell, L.GRUCell, L.SimpleRNNCell])
def test_a_cell_in_a_loop_of_ones_own_is_left_alone(cell, on_a_cpu):
    assert not prefers_xla(OwnLoop(cell(2)))


def test_dense_networks_stay_compiled_and_convolutions_do_not(on_a_cpu):
    dense = [L.Embedding(5, 3), L.Flatten(), L.Dense(4, "relu"), L.LayerNormalization(), L.Dense(1)]
    assert prefers_xla(keras.Sequential(dense))
    assert prefers_xla(keras.Sequential([L.TimeDistributed(L.Dense(2))]))
    assert not prefers_xla(keras.Sequential([L.Conv1D(2, 3), L.Dense(1)]))


def test_on_a_gpu_they_are_compiled(on_a_gpu):
    network = keras.Sequential([L.RNN(L.GRUCell(2)), L.Dense(1)])
    assert prefers_xla(network) is all(layer.supports_jit for layer in network.layers)


@pytest.mark.parametrize(("layer", "compiled"), [(L.GRU(3), False), (L.Flatten(), True)])
def test_what_fit_does(layer, compiled, on_a_cpu):
    model = ktg.TransferModel(
        keras.Sequential([keras.Input((3,)), L.Dense(4)]),
        2,
        head=keras.Sequential([L.Reshape((2, 2)), layer, L.Dense(2)]),
    )
    model.backbone.prefers_xla_on_cpu = True
    model.compile()
    assert model.jit_compile is compiled
    model.fit(np.zeros((4, 3), "float32"), np.array([0, 1, 0, 1]), verbose=0)
