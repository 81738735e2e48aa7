"""The notebooks and the benchmarks' results as pages of the documentation site.

MkDocs calls `on_files` (see `hooks` in mkdocs.yml). The page of a notebook holds its text, its code
and the outputs that are stored in it (`python tutorials/execute.py --store`).
"""

import re
import sys
from pathlib import Path

import nbformat
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # A hook of MkDocs is no module of a package.

from tutorials.stored_outputs import pictures  # noqa: E402

NOT_ON_THE_SITE = "%matplotlib inline\n"


def on_files(files, config):
    """Add the pages and the pictures of notebooks."""
    for path in (ROOT / "tutorials").glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        name = f"tutorials/{path.stem}.md"
        files.append(File.generated(config, name, content=page(notebook, path.stem)))
        for picture in pictures(notebook):
            name = f"tutorials/{picture.name(path.stem)}"
            files.append(File.generated(config, name, content=picture.data))
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text()
    content = results.replace("](../docs/", "](").replace("# Results", "# Measured", 1)
    files.append(File.generated(config, "measured.md", content=content))
    return files


def page(notebook: nbformat.NotebookNode, stem: str) -> str:
    """A notebook as Markdown.

    Args:
        notebook: The notebook.
        stem: What its file is called.
    """
    shown = {(each.cell, each.place): each.name(stem) for each in pictures(notebook)}
    heading, parts = "", []
    for number, cell in enumerate(notebook.cells):
        text = cell.source.replace("](../docs/", "](../").replace(".ipynb)", ".md)")
        if cell.cell_type == "code":
            text = f"```python\n{text.replace(NOT_ON_THE_SITE, '')}\n```"
            text += "".join(_outputs(cell, number, shown, heading))
        elif headings := re.findall(r"^#+ (.+)$", text, re.M):
            heading = headings[-1]
        parts.append(text)
    where = f"tutorials/{stem}.ipynb"
    return "\n\n".join([parts[0], f"*The notebook is `{where}`.*", *parts[1:]])


def _outputs(cell, number, shown, heading):
    place = 0
    for output in cell.outputs:
        text = output.get("text") or output.get("data", {}).get("text/plain")
        if text:
            # No fence of three could hold a text that has one.
            yield f"\n\n````text\n{text.rstrip()}\n````"
        else:
            yield f"\n\n![{heading}: what the cell draws]({shown[number, place]})"
            place += 1


def on_page_markdown(markdown, page, config, files):
    """Links of the guides to notebooks, which are files in the repository, lead to their pages."""
    return markdown.replace("](../../tutorials/", "](../tutorials/").replace(".ipynb)", ".md)")
