"""Functions call each other in an order."""

from tests.backbones.audit import forgery


def chain(folder, calls):
    def change(meta_graph):
        for name, callees in calls.items():
            function = meta_graph.graph_def.library.function.add()
            function.signature.name = name
            for place, callee in enumerate(callees):
                function.node_def.add(name=f"n{place}", op=callee)

    forgery.edit(folder, change)
    return forgery.reasons(folder)


def test_a_circle(tmp_path):
    folder = forgery.whole_module(tmp_path / "module")
    found = chain(folder, {"a": ["b"], "b": ["a"], "c": ["c"]})
    for name in "abc":
        expected = f"a function calls itself, or functions that call it (function {name})"
        assert expected in found


def test_depth(tmp_path):
    folder = forgery.whole_module(tmp_path / "module")
    names = [f"f{place}" for place in range(202)]
    found = chain(folder, {a: [b] for a, b in zip(names, [*names[1:], "NoOp"])})
    assert [each for each in found if "levels deep" in each] == [
        "a function calls functions more than 200 levels deep (function f1)",
        "a function calls functions more than 200 levels deep (function f0)",
    ]
