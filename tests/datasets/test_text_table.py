import collections
import csv
import gzip
import itertools
import os
import tracemalloc

import pytest

from keras_transgen.datasets import text_table
from keras_transgen.datasets.named_labels import sorted_names


def write(folder, content, name="table.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


AWKWARD = ["plain", 'says "hi"', "a, b; c\td|e", "two\nlines", "\r\nends", ' "', "", "größer", "0"]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.tsv", "a.tab.gz", "a.txt"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_what_the_csv_module_writes_is_read(tmp_path, name, line_end):
    tabs = "tsv" in name or "tab" in name
    with open(tmp_path / "plain", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t" if tabs else ",", lineterminator=line_end)
        writer.writerow(["label", "id", "text"])
        for number, text in enumerate(AWKWARD):
            writer.writerow([["ham", "spam"][number % 2], number, text + "."])
    content = (tmp_path / "plain").read_bytes()
    path = write(
        tmp_path, gzip.compress(content, mtime=0) if name.endswith("gz") else content, name
    )
    table = text_table(path)
    assert table.texts == [text + "." for text in AWKWARD]
    assert table.class_names == ("ham", "spam")
    assert table.labels.dtype == "int64"
    assert table.labels.tolist() == [0, 1, 0, 1, 0, 1, 0, 1, 0]
    assert csv.field_size_limit() == 131072


def test_columns_by_name_number_and_several(tmp_path):
    path = write(tmp_path, "id,title,body,kind\n1,Old,news,b\n2,,alone,a\n3,Two,parts,b\n")
    texts, labels, names = text_table(path, ["title", "body"], "kind", join=" | ")
    assert texts == ["Old | news", "alone", "Two | parts"]
    assert (labels.tolist(), names) == ([1, 0, 1], ("a", "b"))
    # A name says that there is a header, for the columns given by number too.
    assert text_table(path, 2, "kind").texts == ["news", "alone", "parts"]
    assert text_table(path, 2, 3, header=True).labels.tolist() == [1, 0, 1]
    # Numbers alone: the first row is a row.
    assert text_table(path, 2, 3).texts == ["body", "news", "alone", "parts"]
    assert text_table(path, "body", None) == (["news", "alone", "parts"], None, None)


def test_a_table_of_one_column(tmp_path):
    path = write(tmp_path, 'one; two\n"three, four"\n\nfive\n', "a.csv")
    lines = write(tmp_path, "alone\nand more words\n", "a.txt")
    assert text_table(lines, 0, None).texts == ["alone", "and more words"]
    assert text_table(path, 0, None).texts == ["one; two", "three, four", "five"]
    assert text_table(path, 0, None, separator=",").texts == ["one; two", "three, four", "five"]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("text;label\na, b;x\nc;y\n", "a.csv"),
        ("text\tlabel\na, b\tx\nc\ty\n", "a.txt"),
        ("text|label\na, b|x\nc|y\n", "a.data"),
        ("text,label\n'a, b',x\n", "b.tsv"),
    ],
)
def test_the_separator_is_found(tmp_path, content, name):
    path = write(tmp_path, content, name)
    if name == "b.tsv":
        with pytest.raises(ValueError, match=r"exactly|column 'text'.*\['text,label'\]"):
            text_table(path)
    else:
        assert text_table(path).texts == ["a, b", "c"]


def test_labels_are_sorted_by_value_where_they_are_numbers(tmp_path):
    path = write(tmp_path, "a,10\nb, 2\nc,-1\nd,10 \n")
    _, labels, names = text_table(path, 0, 1)
    assert names == ("-1", "2", "10")
    assert labels.tolist() == [2, 1, 0, 2]
    assert sorted_names(["10", "2", "x"]) == ("10", "2", "x")
    # No order among numbers has a place for these.
    assert sorted_names(["nan", "10", "2"]) == ("10", "2", "nan")


def test_class_names_fix_the_order_and_refuse_others(tmp_path):
    path = write(tmp_path, "text,label\na,x\nb,y\nc,x\n")
    _, labels, names = text_table(path, class_names=["z", "y", "x"])
    assert (labels.tolist(), names) == ([2, 1, 2], ("z", "y", "x"))
    with pytest.raises(ValueError, match=r"among class_names=\['x'\].*'y' in line 3"):
        text_table(path, class_names=["x"])
    with pytest.raises(ValueError, match="name each class once"):
        text_table(path, class_names=["x", "y", "x"])
    one = write(tmp_path, "text,label\na,x\nc,x\n", "one.csv")
    with pytest.raises(ValueError, match=r"at least two classes.*2 example\(s\) of the class 'x'"):
        text_table(one)
    assert text_table(one, class_names=["w", "x"]).labels.tolist() == [1, 1]


def test_lone_quotes_in_a_table_with_tabs_are_characters(tmp_path):
    content = 'text\tlabel\n"never closed\t1\n5" disk\t0\nends "\t1\n""\t0\n'
    path = write(tmp_path, content, "a.tsv")
    rows = [line.split("\t") for line in content.splitlines()[1:]]
    assert text_table(path).texts == [text for text, _ in rows]
    # All quotes close in their fields: they hold the fields together.
    well = write(tmp_path, 'text\tlabel\n"a ""b"""\t1\n"c\nd"\t0\n', "b.tsv")
    assert text_table(well).texts == ['a "b"', "c\nd"]
    assert text_table(well, quotes=True).texts == ['a "b"', "c\nd"]
    flat = write(tmp_path, 'text\tlabel\n"a ""b"""\t1\nc\t0\n', "c.tsv")
    assert text_table(flat, quotes=False).texts == ['"a ""b"""', "c"]


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ('text,label\n"open,1\nb,0\nc,1\n', "a.csv", "quotes=False.*unexpected end.*line 2"),
        ('text,label\na,0\n"b" c,1\n', "a.csv", "quotes=False.*row from line 3"),
        ("text,label\na,0\nb, c,1\n", "a.csv", "2 fields.*3 in line 3"),
        ('text,label\n"a\n\nb",0\nb\n', "a.csv", "2 fields.*1 in line 5"),
        ("text,label\na,0\n ,1\n", "a.csv", "skip_missing=True.*no text in line 3"),
        ("text,label\na,0\nb, \n", "a.csv", "skip_missing=True.*no label in line 3"),
        ("words,label\na,0\n", "a.csv", r"column 'text'.*\['words', 'label'\]"),
        ("text,text,label\na,b,0\n", "a.csv", "exactly one column 'text'"),
        ("", "a.csv", "is empty"),
        ("\n\n", "a.tsv", "is empty"),
        ("text,label\n", "a.csv", "none in"),
        ("alone\nmore\n", "a.txt", "Pass separator="),
        (b"text,label\na,0\nb\0c,1\n", "a.csv", "a zero in line 3"),
        ("text,label\na,0\nü,1\n".encode("latin-1"), "a.csv", "'cp1252' or 'latin-1'.*line 3"),
        ("text,label\na,0\n".encode("utf-16"), "a.csv", "often 'utf-16'.*line 1"),
        ("text,label\na,0\n".encode("utf-16-le"), "a.csv", "encoding='utf-16'.*line 1"),
        (gzip.compress(b"text,label\na,0\n" * 99, mtime=0)[:-9], "a.csv.gz", "whole gzip file"),
    ],
)
def test_broken_tables_are_refused_with_the_line(tmp_path, content, name, message):
    path = write(tmp_path, content, name)
    with pytest.raises(ValueError, match=message) as error:
        text_table(path)
    assert name in str(error.value)


def test_arguments_are_checked(tmp_path):
    path = write(tmp_path, "text,label\na,0\nb,1\n")
    with pytest.raises(ValueError, match=r"column 2.*2 columns"):
        text_table(path, 0, 2)
    with pytest.raises(ValueError, match="column -1"):
        text_table(path, -1, 0)
    for text in ([], True, [0.5]):
        with pytest.raises(ValueError, match="names or numbers"):
            text_table(path, text)
    with pytest.raises(ValueError, match="by number, from 0"):
        text_table(path, header=False)
    for separator in ("", ", ", '"', "\n"):
        with pytest.raises(ValueError, match="separator of one character"):
            text_table(path, separator=separator)
    for encoding in ("no-such", "hex"):
        with pytest.raises(ValueError, match="name of an encoding"):
            text_table(path, encoding=encoding)
    with pytest.raises(FileNotFoundError, match="a folder"):
        text_table(tmp_path)
    with pytest.raises(FileNotFoundError, match="nothing there"):
        text_table(tmp_path / "absent.csv")


def test_missing_fields_are_skipped_where_one_says_so(tmp_path):
    path = write(tmp_path, "text,label\na,0\n,1\nb,\nc,1\n")
    assert text_table(path, skip_missing=True)[0] == ["a", "c"]
    # "NA" and "nan" are words.
    assert text_table(write(tmp_path, "NA,nan\nb,c\n"), 0, 1).class_names == ("c", "nan")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_encodings_and_byte_order_marks(tmp_path, encoding):
    path = write(tmp_path, "text,label\ngrün,0\nb,1\n", encoding=encoding)
    named = "utf-8" if encoding == "utf-8-sig" else encoding
    assert text_table(path, encoding=named).texts == ["grün", "b"]


def test_a_field_may_be_long_and_a_file_may_not_be_longer_than_said(tmp_path):
    long = "word " * 100_000
    path = write(tmp_path, f"text,label\n{long},0\nb,1\n")
    assert text_table(path).texts[0] == long
    with pytest.raises(ValueError, match="max_bytes=1,000"):
        text_table(path, max_bytes=1000)
    bomb = write(tmp_path, gzip.compress(bytes(2**26)), "bomb.csv.gz")
    tracemalloc.start()
    with pytest.raises(ValueError, match="max_bytes=1,000,000"):
        text_table(bomb, max_bytes=10**6)
    assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    tracemalloc.stop()


@pytest.mark.timeout(20)
def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(FileNotFoundError, match="pipe, socket or device"):
        text_table(tmp_path / "pipe.csv")


@pytest.mark.shared_data
def test_sentences_with_sentiment(shared_folder):
    texts, labels, names = text_table(shared_folder / "data/sst2/train.tsv", text=0, label=1)
    lines = (shared_folder / "data/sst2/train.tsv").read_text(encoding="utf-8").splitlines()
    assert len(texts) == 6920
    assert [f"{text}\t{names[label]}" for text, label in zip(texts, labels)] == lines


@pytest.mark.shared_data
def test_news(shared_folder):
    path = shared_folder / "data/ag_news/test.csv.gz"
    texts, labels, names = text_table(path, text=[1, 2], label=0)
    assert names == ("1", "2", "3", "4")
    assert collections.Counter(labels.tolist()) == {0: 1900, 1: 1900, 2: 1900, 3: 1900}
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for row, text in itertools.islice(zip(csv.reader(file), texts), 100):
            assert text == f"{row[1]} {row[2]}"


def test_lines_of_a_text_file_are_texts_where_no_label_is_wanted(tmp_path):
    path = tmp_path / "new.txt"
    path.write_text('Hello, you\nnothing here\n"quoted", he said; twice\n\n')
    expected = ["Hello, you", "nothing here", '"quoted", he said; twice']
    assert text_table(path, text=0, label=None).texts == expected
    # With names, the first line is one.
    path.write_text("text\nHello, you\na, b, c\n")
    assert text_table(path, label=None).texts == ["Hello, you", "a, b, c"]
    with pytest.raises(ValueError, match="equally many fields"):
        text_table(path, text=0, label=1)


def test_a_missing_text_is_told_without_a_label(tmp_path):
    path = tmp_path / "new.csv"
    path.write_text("text,id\nyes,1\n,2\n")
    with pytest.raises(ValueError, match=r"Expected a text in each row.*no text in line 3"):
        text_table(path, label=None)


def test_a_quote_that_stays_open_is_named_whatever_the_separator(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('text\tlabel\n"c d\ty\ne\tz\nf\tx\n')
    with pytest.raises(ValueError, match=r"quotes that close.*quotes=False.*from line 2 of"):
        text_table(path)
    assert text_table(path, quotes=False, separator="\t").texts == ['"c d', "e", "f"]


def test_labels_that_stand_for_nothing_elsewhere_are_told(tmp_path):
    path = write(tmp_path, "text,label\na,good\nb,NaN\nc,NA\nd,NaN\n")
    with pytest.warns(UserWarning, match="stands for a missing one") as told:
        table = text_table(path)
    assert table.class_names == ("NA", "NaN", "good")
    assert table.labels.tolist() == [2, 1, 0, 1]
    messages = [str(each.message) for each in told]
    assert len(messages) == 2
    assert "'NA'" in messages[0]
    assert "1 example(s), the first in line 4" in messages[0]
    assert "'NaN'" in messages[1]
    assert "2 example(s), the first in line 3" in messages[1]


def test_a_number_is_written_in_one_way(tmp_path):
    path = write(tmp_path, "text,label\na,1\nb,2\nc,1.0\n")
    with pytest.raises(ValueError, match=r"'1' and '1\.0', this one first in line 4"):
        text_table(path)
    assert text_table(path, class_names=["1", "1.0", "2"]).labels.tolist() == [0, 2, 1]


@pytest.mark.parametrize("other", ["cafe\u0301", "caf\u00e9\u200b"])
def test_labels_that_look_the_same_are_one_class_or_refused(tmp_path, other):
    path = write(tmp_path, f"text,label\na,caf\u00e9\nb,ham\nc,{other}\n")
    with pytest.raises(ValueError, match=r"'caf\\xe9.* look the same, this one first in line [24]"):
        text_table(path)
    names = ["caf\u00e9", "ham", other]
    assert text_table(path, class_names=names).labels.tolist() == [0, 1, 2]


def test_a_text_is_not_its_own_label(tmp_path):
    path = write(tmp_path, "text,label\na,b\nb,a\n")
    with pytest.raises(ValueError, match="another column"):
        text_table(path, text="text", label="text")
