import json
import zipfile

import keras
import numpy as np
import pytest
import sentencepiece
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen import Vocabulary

TEXTS = ["To be, or not to be", "Grüße aus Köln", "敏捷的棕狐狸", "a\nb\tc 🙂", ""]


@pytest.fixture(scope="module")
def sentences():
    words = [
        "the",
        "a",
        "man",
        "dog",
        "two",
        "women",
        "play",
        "snow",
        "red",
        "on",
        "in",
        "street",
        "runs",
        "young",
    ]
    draws = np.random.default_rng(0)
    return [" ".join(draws.choice(words, draws.integers(3, 9))) for _ in range(400)]


@pytest.fixture(scope="module")
def pieces(sentences):
    return Vocabulary.train(sentences, size=34)


def test_bytes_are_those_of_utf8():
    vocabulary = Vocabulary.bytes()
    assert vocabulary.size == 260
    for text in TEXTS:
        assert vocabulary.encode(text) == [4 + byte for byte in text.encode()]


@pytest.mark.parametrize("make", [Vocabulary.bytes, lambda: Vocabulary.characters(TEXTS)])
def test_round_trip_is_exact(make):
    vocabulary = make()
    assert vocabulary.decode(vocabulary.encode(TEXTS)) == TEXTS


def test_round_trip_of_characters_that_share_bytes():
    vocabulary = Vocabulary.characters(["é", "e\u0301"])
    assert vocabulary.decode(vocabulary.encode("ée\u0301")) == "ée\u0301"


@pytest.mark.parametrize("kind", ["bytes", "characters", "pieces"])
def test_a_graph_gives_the_tokens_and_texts_of_python(kind, pieces):
    if kind == "pieces":
        pytest.importorskip("tensorflow_text")
    vocabulary = {
        "bytes": Vocabulary.bytes(),
        "characters": Vocabulary.characters(TEXTS),
        "pieces": pieces,
    }[kind]
    texts = [*TEXTS, "zß? the dog"]
    tokenize = tf.function(vocabulary.tokenize)
    tokens = vocabulary.encode(texts)
    assert tokenize(tf.constant(texts)).to_list() == tokens
    detokenize = tf.function(vocabulary.detokenize)
    told = [text.decode() for text in detokenize(tf.ragged.constant(tokens, tf.int32)).numpy()]
    assert told == vocabulary.decode(tokens)


def test_bytes_that_end_within_a_character_are_told_alike():
    vocabulary = Vocabulary.bytes()
    tokens = vocabulary.encode("né")[:-1]
    assert vocabulary.decode(tokens) == "n\ufffd"
    assert vocabulary.detokenize([tokens]).numpy()[0].decode() == "n\ufffd"


def test_what_follows_an_end_is_left_out_here_and_in_a_graph():
    vocabulary = Vocabulary.characters(["ab"])
    rows = [[1, 4, 5, 2, 4, 0], [1, 5, 0, 0, 0, 0], [2, 4, 4, 4, 4, 4]]
    assert vocabulary.decode(rows) == ["ab", "b", ""]
    assert vocabulary.detokenize(rows).numpy().tolist() == [b"ab", b"b", b""]


def test_characters_are_the_most_frequent_and_the_others_unknown():
    vocabulary = Vocabulary.characters(["aaabbc"], size=6)
    assert vocabulary.encode("abc") == [4, 5, 3]
    assert vocabulary.decode([4, 3, 5]) == "a\ufffdb"


def test_pieces_are_those_of_sentencepiece(pieces, sentences):
    processor = sentencepiece.SentencePieceProcessor(model_proto=pieces.codec.model)
    assert pieces.size == 34
    for text in sentences[:20]:
        assert pieces.encode(text) == processor.encode(text)
        assert pieces.decode(pieces.encode(text)) == text


def test_special_tokens_of_a_foreign_model_are_ours(sentences, tmp_path):
    """SentencePiece's own defaults: unknown 0, start 1, end 2, no padding."""
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_prefix=str(tmp_path / "foreign"),
        vocab_size=30,
        minloglevel=2,
    )
    vocabulary = Vocabulary.load(tmp_path / "foreign.model")
    processor = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "foreign.model"))
    assert vocabulary.size == 30 + 1
    assert vocabulary.decode(vocabulary.encode(sentences)) == sentences
    assert vocabulary.encode("日")[-1] == vocabulary.unknown
    ours, theirs = vocabulary.encode(sentences[0]), processor.encode(sentences[0])
    assert [processor.id_to_piece(piece) for piece in theirs] == [
        processor.id_to_piece(int(vocabulary.codec._pieces[token])) for token in ours
    ]
    assert min(ours) >= 4


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_files_give_the_same_tokens(kind, sentences, tmp_path):
    for vocabulary in (
        Vocabulary.train(sentences, 34, kind),
        Vocabulary.characters(sentences),
        Vocabulary.bytes(),
    ):
        vocabulary.save(tmp_path / "vocabulary")
        again = Vocabulary.load(tmp_path / "vocabulary")
        assert again.encode(sentences) == vocabulary.encode(sentences)
        assert again.equals(vocabulary)
        assert not again.equals(Vocabulary.characters(["x"]))


def test_a_keras_file_carries_the_pieces(pieces, sentences, tmp_path):
    model = ktg.LanguageModel(pieces, context_length=8, num_layers=1, model_dim=8, num_heads=2)
    model.save(tmp_path / "model.keras")
    loaded = ktg.load_model(tmp_path / "model.keras")
    assert loaded.vocabulary.encode(sentences) == pieces.encode(sentences)
    assert loaded.vocabulary.equals(pieces)
    np.testing.assert_allclose(
        loaded.log_likelihood(sentences[:3]), model.log_likelihood(sentences[:3]), rtol=1e-6
    )


def test_pieces_that_are_not_the_models_are_refused(pieces, sentences, tmp_path):
    other = Vocabulary.train(sentences, size=32)
    (tmp_path / "pieces.model").write_bytes(other.codec.model)
    with pytest.raises(ValueError, match="not the one that its model"):
        Vocabulary.from_config(pieces.get_config()).load_assets(str(tmp_path))
    with pytest.raises(ValueError, match="lacks its vocabulary"):
        Vocabulary.from_config(pieces.get_config()).load_assets(str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="pieces are not loaded"):
        Vocabulary.from_config(pieces.get_config()).encode("a")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "lacks its vocabulary"),
        (b"", "not the one that its model was made with"),
        (b"other", "not the one that its model was made with"),
    ],
)
def test_a_model_without_its_pieces_is_refused(content, message, pieces, tmp_path):
    model = ktg.LanguageModel(pieces, 8, 1, 8, 2)
    model.save(tmp_path / "whole.keras")
    with (
        zipfile.ZipFile(tmp_path / "whole.keras") as whole,
        zipfile.ZipFile(tmp_path / "changed.keras", "w") as changed,
    ):
        for member in whole.infolist():
            is_it = member.filename.endswith("pieces.model")
            if not is_it or content is not None:
                changed.writestr(member.filename, content if is_it else whole.read(member))
    with pytest.raises(ValueError, match=message):
        ktg.load_model(tmp_path / "changed.keras")


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (
            lambda: Vocabulary.train(["a b"], size=4000, hard_vocab_limit=True),
            "no more pieces than they have.*size=4000",
        ),
        (lambda: Vocabulary.train(["a b"], size=10**9), "at most 1,048,576"),
        (lambda: Vocabulary.train(["a b"], size="9"), "size must be a whole number"),
        (lambda: Vocabulary.train(["a b"], foo=3), r"no such option.*\['foo'\]"),
        (lambda: Vocabulary.train(["a b"], vocab_size=9), "size and kind are arguments of their"),
        (lambda: Vocabulary.characters([""]), "no character"),
        (lambda: Vocabulary.characters({"a": 1}), "of type dict"),
        (lambda: Vocabulary.characters(None), "must be a list of texts"),
        (lambda: Vocabulary.characters(5), "of type int"),
        (lambda: Vocabulary.bytes().encode("a\ud800"), "half a pair of surrogates in row 0"),
        (lambda: Vocabulary.bytes().decode(5), "a list of whole numbers"),
        (lambda: Vocabulary("characters", characters="\ud800"), "half a pair"),
        (lambda: Vocabulary(["some", "texts"] * 400), r"Vocabulary.train\(texts\)"),
        (
            lambda: Vocabulary.bytes().encode(tf.data.Dataset.from_tensors("a").repeat()),
            "leave repeat",
        ),
        (
            lambda: Vocabulary.train(["a b"], kind="word"),
            "'unigram' or 'bpe'. Received: kind='word'",
        ),
        (lambda: Vocabulary.characters([]), "no row|no texts"),
        (lambda: Vocabulary.characters("abc"), r"put one alone into a list.*'abc'"),
        (lambda: Vocabulary.characters(["a"], size=4), "size must be .* at least 5"),
        (lambda: Vocabulary.characters([1, 2]), "must be strings"),
        (lambda: Vocabulary.characters(["a", None]), "row 1|missing"),
        (lambda: Vocabulary.characters([b"\xff"]), "UTF-8"),
        (lambda: Vocabulary("words"), "its kind is one of"),
        (lambda: Vocabulary("characters", characters="ba"), "in their order"),
        (lambda: Vocabulary("pieces"), "Vocabulary.train"),
        (lambda: Vocabulary.bytes().decode([260]), "from 0 to 259"),
        (lambda: Vocabulary.bytes().decode([-1]), "from 0 to 259"),
        (lambda: Vocabulary.bytes().decode([4.5]), "whole numbers"),
        (lambda: Vocabulary.load("/nowhere/at.all"), "no such file"),
    ],
)
def test_errors(act, message):
    with pytest.raises(ValueError, match=message):
        act()


@pytest.mark.parametrize(
    "content",
    [b"", b"no model", b"{", b"{}x", json.dumps({"kind": "words"}).encode(), b'{"a":' * 100_000],
)
def test_files_that_hold_none_are_refused(content, tmp_path):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match=r"holds no vocabulary: .*path='.*file'"):
        Vocabulary.load(tmp_path / "file")


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_few_texts_have_fewer_pieces_than_asked_for(kind):
    texts = ["der Hund läuft", "die Katze läuft"]
    vocabulary = Vocabulary.train(texts, kind=kind)
    assert len(set("".join(texts))) < vocabulary.size < 60
    assert vocabulary.decode(vocabulary.encode(texts)) == texts
    assert repr(vocabulary) == f"<Vocabulary of {vocabulary.size} pieces>"


def test_long_texts_are_learnt_from_like_short_ones(sentences):
    """SentencePiece passes over sentences of more than 4,192 bytes."""
    book = " ".join(sentences)
    assert len(book) > 2 * 4192
    for text in (book, book.replace(" ", "\n")):
        vocabulary = Vocabulary.train([text, "zq zq"], size=40)
        assert 3 not in vocabulary.encode(book)
    unbroken = Vocabulary.train(["ab" * 5000, "zq"], size=20)
    assert 3 not in unbroken.encode("abba")


def test_configurations_hold_text_and_no_more():
    config = Vocabulary.characters(["ab"]).get_config()
    again = keras.saving.deserialize_keras_object(
        json.loads(json.dumps(keras.saving.serialize_keras_object(Vocabulary.from_config(config))))
    )
    assert again.encode("ba") == [5, 4]
