"""The command `text`: what it trains and writes is what the models of Python say."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import keras_transgen as ktg
from keras_transgen.cli import application, unfinished_lines
from keras_transgen.cli.demo_text import bits_by_the_one_before
from keras_transgen.cli.text_data import read_pairs, read_texts
from keras_transgen.cli.text_evaluate import run_text_evaluate
from keras_transgen.cli.text_report import translation_scores
from keras_transgen.cli.text_train import run_text_train
from keras_transgen.cli.text_write import run_text_generate, run_text_translate

SMALL = {"layers": 1, "width": 16, "seed": 3}
ENGLISH = [f"{count} {thing}" for count in ("one", "two", "six") for thing in ("dog", "cat", "cow")]
GERMAN = [
    f"{count} {thing}" for count in ("ein", "zwo", "sex") for thing in ("Hund", "Katze", "Kuh")
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    (folder / "book.txt").write_text("to be or not to be, that is the question.\n" * 30)
    (folder / "lines.txt").write_text("\n".join(["to be or not", "not to be", ""] * 12))
    (folder / "en.txt").write_text("\n".join(ENGLISH * 4) + "\n")
    (folder / "de.txt").write_text("\n".join(GERMAN * 4) + "\n")
    rows = [f"{a},{b}" for a, b in zip(ENGLISH * 4, GERMAN * 4)]
    (folder / "pairs.csv").write_text("\n".join(["english,german", *rows]))
    return folder


@pytest.fixture(scope="module")
def language_model(folder):
    output = folder / "language"
    run_text_train([folder / "book.txt"], context=16, epochs=2, output=output, **SMALL)
    return output


@pytest.fixture(scope="module")
def translator(folder):
    output = folder / "translator"
    run_text_train(
        [folder / "pairs.csv"],
        source="english",
        target="german",
        vocabulary="characters",
        epochs=2,
        output=output,
        **SMALL,
    )
    return output


@pytest.mark.slow
def test_a_language_model_from_a_file(folder, language_model, capsys):
    names = {path.name for path in language_model.iterdir() if not path.name.startswith(".")}
    assert names == {
        "learning_curves.png", "model.keras", "report.json", "samples", "samples.txt",
    }  # fmt: skip
    assert {path.name for path in (language_model / "samples").iterdir()} == {
        "epoch_0001.txt", "epoch_0002.txt",
    }  # fmt: skip
    model = ktg.load_model(language_model / "model.keras")
    assert (model.context_length, model.feature_dim) == (16, 16)
    # The end of the only text was held out.
    text = (folder / "book.txt").read_text().rstrip("\n")
    held_out = text[-(len(text) // 20) :]
    report = json.loads((language_model / "report.json").read_text())
    nats = -model.log_likelihood([held_out])[0]
    assert report["nats_per_text"] == pytest.approx(nats, rel=1e-4)
    assert report["bits_per_character"] == pytest.approx(nats / np.log(2) / len(held_out), rel=1e-4)
    # The end is predicted too.
    assert report["perplexity"] == pytest.approx(np.exp(nats / (len(held_out) + 1)), rel=1e-3)
    found = run_text_evaluate(language_model / "model.keras", [folder / "book.txt"])
    assert found["bits_per_byte"] == pytest.approx(model.bits_per_byte([text]), rel=1e-4)
    by_line = run_text_evaluate(language_model / "model.keras", [folder / "book.txt"], lines=True)
    assert by_line["texts"] == 30
    capsys.readouterr()
    options = {"max_tokens": 8, "temperature": 0.7, "top_k": 5, "seed": 4}
    texts = run_text_generate(language_model / "model.keras", ["to", "that"], 2, **options)
    printed = capsys.readouterr()
    prompts = ["to", "to", "that", "that"]
    continued = model.generate(prompts, **options)
    assert texts == [prompt + text for prompt, text in zip(prompts, continued)]
    # Nothing but the texts, so that they can be piped.
    assert printed.out == "\n---\n".join(texts) + "\n"
    assert "Loading" in printed.err


@pytest.mark.slow
def test_a_translator_from_a_table_and_from_two_files(folder, translator, tmp_path, capsys):
    model = ktg.load_model(translator / "model.keras")
    assert isinstance(model, ktg.SequenceToSequence)
    source = tmp_path / "source.txt"
    source.write_text("one dog\n\nsix cows\n")
    found = run_text_translate(
        translator / "model.keras", source, beam=2, output=tmp_path / "target.txt"
    )
    one, six = model.generate(["one dog", "six cows"], beam_width=2)
    assert found == [one, "", six]
    assert (tmp_path / "target.txt").read_text() == f"{one}\n\n{six}\n"
    report = run_text_evaluate(
        translator / "model.keras", [folder / "en.txt", folder / "de.txt"], beam=2
    )
    nats = model.log_likelihood(ENGLISH, GERMAN)
    assert report["nats_per_text"] == pytest.approx(-nats.mean(), rel=1e-4)
    made = model.generate(ENGLISH, beam_width=2)
    right = np.mean([a == b for a, b in zip(made, GERMAN)])
    assert report["exactly_right"] == pytest.approx(right)
    assert "en.txt" not in capsys.readouterr().err


@pytest.mark.slow
def test_lines_that_cannot_be_translated(translator, tmp_path, monkeypatch, capsys):
    model_file, source = translator / "model.keras", tmp_path / "source.txt"
    model = ktg.load_model(model_file)
    source.write_text("one dog\n\u4f60\u597d\nsix cows\n", encoding="utf-8")
    found = run_text_translate(model_file, source)
    # Of all lines alike: twice the longest, its end included, and 16.
    one, six = model.generate(["one dog", "six cows"], 5, max_tokens=2 * 9 + 16)
    assert found == [one, "", six]
    told = " ".join(capsys.readouterr().err.split())
    assert "hardly knows them: 1 lines, the first is line 2" in told
    source.write_text("one dog\n\n" + "one dog " * 200)
    with pytest.raises(ValueError, match=r"1 longer ones in .* tokens in line 3"):
        run_text_translate(model_file, source)
    source.write_text("\u4f60\u597d\n", encoding="utf-8")
    with pytest.raises(ValueError, match="does not know these texts"):
        run_text_translate(model_file, source)
    with pytest.raises(ValueError, match=r"Only tables .* leave out --text"):
        run_text_translate(model_file, source, text="text")
    given = io.TextIOWrapper(io.BytesIO("\ufeffone dog\n".encode()))
    monkeypatch.setattr(sys, "stdin", given)
    assert run_text_translate(model_file, Path("-")) == model.generate(["one dog"], 5)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"gr\xfcn\n")))
    with pytest.raises(ValueError, match="Expected text in UTF-8 from standard input"):
        run_text_translate(model_file, Path("-"))


@pytest.mark.slow
def test_a_translation_that_was_stopped_goes_on(translator, tmp_path, monkeypatch, capsys):
    model_file, output = translator / "model.keras", tmp_path / "target.txt"
    source = tmp_path / "source.txt"
    source.write_text("one dog\n\nsix cows\ntwo cats\n")
    monkeypatch.setattr(unfinished_lines, "_EVERY", 0.0)
    generate, calls = ktg.SequenceToSequence.generate, []

    def stopped(self, texts, *args, **kwargs):
        calls.append(list(texts))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return generate(self, texts, *args, **kwargs)

    monkeypatch.setattr(ktg.SequenceToSequence, "generate", stopped)
    with pytest.raises(KeyboardInterrupt):
        run_text_translate(model_file, source, batch_size=1, output=output)
    assert not output.exists()
    found = run_text_translate(model_file, source, batch_size=2, output=output)
    assert calls == [["one dog"], ["six cows"], ["six cows", "two cats"]]
    assert "after 1 lines of an unfinished run" in capsys.readouterr().out.replace("\n", " ")
    texts = ["one dog", "six cows", "two cats"]
    one, six, two = generate(ktg.load_model(model_file), texts, 5, max_tokens=2 * 9 + 16)
    assert found == [one, "", six, two]
    assert output.read_text() == f"{one}\n\n{six}\n{two}\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source.txt", "target.txt"]
    # Of another width of the beam nothing is taken; a file of somebody else is left alone.
    other = unfinished_lines.UnfinishedLines(output, model_file, (2, []), None)
    other.made = {0: "gone"}
    other.keep()
    assert run_text_translate(model_file, source, beam=1, output=output)[0] != "gone"
    (tmp_path / "target.txt.unfinished").write_text("mine")
    with pytest.raises(ValueError, match="something else lies there"):
        run_text_translate(model_file, source, output=output)
    assert (tmp_path / "target.txt.unfinished").read_text() == "mine"


def test_scores_are_those_of_sacrebleu_and_of_counting():
    sacrebleu = pytest.importorskip("sacrebleu")
    found, references = ["a b c d e", "x y"], ["a b c d f", "x y"]
    scores = translation_scores(found, references)
    assert scores["exactly_right"] == 0.5
    assert scores["bleu"] == sacrebleu.metrics.BLEU().corpus_score(found, [references]).score
    assert scores["chrf"] == sacrebleu.metrics.CHRF().corpus_score(found, [references]).score


@pytest.mark.slow
def test_a_text_vae_of_lines(folder, tmp_path, monkeypatch):
    run_text_train(
        [folder / "lines.txt"],
        model="vae",
        vocabulary="characters",
        latent_dim=2,
        steps=3,
        output=tmp_path / "vae",
        **SMALL,
    )
    model = ktg.load_model(tmp_path / "vae" / "model.keras")
    assert model.latent_dim == 2
    # As long as the longest text with its end.
    assert model.context_length == len("to be or not") + 1
    texts = run_text_generate(
        tmp_path / "vae" / "model.keras", count=3, seed=1, output=tmp_path / "t.jsonl"
    )
    assert texts == model.sample(3, temperature=0.8, seed=1)
    rows = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert [row["text"] for row in rows] == texts
    short = run_text_generate(
        tmp_path / "vae" / "model.keras", count=3, seed=1, max_tokens=2, top_k=2
    )
    assert short == model.sample(3, 1, 0.8, top_k=2, max_tokens=2)
    assert max(map(len, short)) <= 2
    with pytest.raises(ValueError, match="leave out --prompt"):
        run_text_generate(tmp_path / "vae" / "model.keras", ["to be"])


def test_texts_and_pairs_by_hand(tmp_path):
    (tmp_path / "folder" / "deeper").mkdir(parents=True)
    (tmp_path / "folder" / "b.txt").write_bytes(b"second\r\nline\r\n")
    (tmp_path / "folder" / "deeper" / "a.TXT").write_text("\n\nfirst\u2028same\n\n")
    (tmp_path / "folder" / "no.md").write_text("other")
    assert read_texts([tmp_path / "folder"], None, None, lines=False) == [
        "second\nline", "first\u2028same",
    ]  # fmt: skip
    assert read_texts([tmp_path / "folder"], None, None, lines=True) == [
        "second", "line", "first\u2028same",
    ]  # fmt: skip
    (tmp_path / "t.csv").write_text("title,body\na,b\nc,d\n")
    assert read_texts([tmp_path / "t.csv"], "title,body", None, lines=True) == ["a b", "c d"]
    (tmp_path / "x.txt").write_text("one\n\ntwo\n")
    (tmp_path / "y.txt").write_text("eins\n\nzwei\n")
    pair = [tmp_path / "x.txt", tmp_path / "y.txt"]
    assert read_pairs(pair, None, None, None) == (["one", "two"], ["eins", "zwei"])
    (tmp_path / "y.txt").write_text("eins\nand\n\n")
    with pytest.raises(ValueError, match=r"line 2 of .*x\.txt"):
        read_pairs(pair, None, None, None)
    (tmp_path / "y.txt").write_text("eins\n\n")
    with pytest.raises(ValueError, match=r"3 in .*x\.txt, 2 in .*y\.txt"):
        read_pairs(pair, None, None, None)


def test_the_letter_before():
    # After "a" come "b" twice and "a" never, of two letters: (2 + 0.1) / (2 + 0.2).
    assert bits_by_the_one_before("abab", "ab") == pytest.approx(-np.log2(2.1 / 2.2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train absent.txt", "nothing there"),
        ("train book.txt --target german", "two text files"),
        ("train book.txt --model language --copying", "--copying is an option of --model transl"),
        ("train book.txt --vocabulary bytes --size 20", "There are 256 bytes"),
        ("train book.txt --learning-rate -1", "must be a number above 0"),
        ("train book.txt --learning-rate nan", "must be a number above 0"),
        ("train book.txt --epochs 2 --steps 3", "leave out --epochs or --steps"),
        ("train pairs.csv --text absent", "a column 'absent'"),
        ("train pairs.csv --source english --target none", "a column 'none'"),
        ("train en.txt --model translation", "two text files"),
        ("train empty.txt", "at least one character"),
        ("train short.txt", "at least 40 characters"),
        ("train nothing", "Expected text files"),
        ("train latin.txt", "Expected text in UTF-8"),
        ("generate absent.keras", "absent"),
        ("translate language/model.keras en.txt", "holds no translator"),
        ("translate language/model.keras absent.txt", "nothing there"),
        ("evaluate language/model.keras book.txt --beam 3", "no options of this model"),
    ],
)
@pytest.mark.slow
def test_wrong_calls(folder, language_model, arguments, message, monkeypatch, capsys):
    (folder / "empty.txt").write_text("\n\n")
    (folder / "short.txt").write_text("short")
    (folder / "nothing").mkdir(exist_ok=True)
    (folder / "latin.txt").write_bytes("für\n".encode("latin-1") * 20)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setattr(sys, "argv", ["keras-transgen", "text", *arguments.split()])
    with pytest.raises(SystemExit) as ended:
        application.main()
    errors = capsys.readouterr().err
    assert ended.value.code in (1, 2)
    assert "Traceback" not in errors
    assert message in errors.replace("\n", " ")


@pytest.mark.slow
def test_other_commands_say_which_one_is_meant(folder, language_model, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "400")
    for arguments in (
        "generate sample language/model.keras x.png",
        "translate apply language/model.keras en.txt",
        "classify language/model.keras en.txt",
        "evaluate en.txt language/model.keras",
    ):
        monkeypatch.setattr(sys, "argv", ["keras-transgen", *arguments.split()])
        with pytest.raises(SystemExit):
            application.main()
        errors = capsys.readouterr().err
        assert "Traceback" not in errors
        assert "LanguageModel" in errors or "folder" in errors, (arguments, errors)
