import pytest

import keras_transgen as ktg

ENGLISH, GERMAN = ["one dog", "two dogs"], ["ein Hund", "zwei Hunde"]


def model():
    vocabulary = ktg.Vocabulary.characters(ENGLISH + GERMAN)
    return ktg.SequenceToSequence(vocabulary, num_layers=1, model_dim=8, num_heads=2, seed=0)


@pytest.mark.slow
def test_what_is_shown_is_what_the_model_writes(tmp_path, capsys):
    translator = model()
    show = ktg.callbacks.Translations(ENGLISH, GERMAN, 2, tmp_path, max_tokens=4, beam_width=2)
    translator.fit(ENGLISH, GERMAN, epochs=4, verbose=0, callbacks=[show])
    names = [f"epoch_000{number}.txt" for number in (1, 3, 4)]
    assert sorted(each.name for each in tmp_path.iterdir()) == names
    first, second = translator.generate(ENGLISH, max_tokens=4, beam_width=2)
    expected = f"one dog\n  -> {first}\n   = ein Hund\ntwo dogs\n  -> {second}\n   = zwei Hunde\n"
    assert (tmp_path / "epoch_0004.txt").read_text() == expected
    assert f"Epoch 4\n{expected}" in capsys.readouterr().out


@pytest.mark.long
def test_it_can_be_quiet(tmp_path, capsys):
    show = ktg.callbacks.Translations(ENGLISH, folder=tmp_path, quiet=True, max_tokens=4)
    model().fit(ENGLISH, GERMAN, verbose=0, callbacks=[show])
    assert capsys.readouterr().out == ""
    assert "=" not in (tmp_path / "epoch_0001.txt").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "list of texts"),
        (("one dog",), "list of texts"),
        ((ENGLISH, ["ein Hund"]), "2 sources and 1 targets"),
        ((ENGLISH, None, 0), "every must be at least 1"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        ktg.callbacks.Translations(*arguments)
