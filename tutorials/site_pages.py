"""The notebooks and the benchmarks' results as pages of the documentation site.

MkDocs calls `on_files` (see `hooks` in mkdocs.yml). Notebooks are stored without outputs;
their pages hold text, code and the pictures of a run.
"""

from pathlib import Path

import nbformat
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
# `python tutorials/execute.py --pictures docs/images/tutorials tutorials/*.ipynb` makes them.
PICTURES = ROOT / "docs" / "images" / "tutorials"
NOT_ON_THE_SITE = "%matplotlib inline\n"


def on_files(files, config):
    """Add the pages."""
    for notebook in (ROOT / "tutorials").glob("*.ipynb"):
        name = f"tutorials/{notebook.stem}.md"
        files.append(File.generated(config, name, content=page(notebook)))
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text()
    content = results.replace("](../docs/", "](").replace("# Results", "# Measured", 1)
    files.append(File.generated(config, "measured.md", content=content))
    return files


def page(notebook: Path) -> str:
    """A notebook as Markdown."""
    parts = []
    for number, cell in enumerate(nbformat.read(notebook, as_version=4).cells):
        text = cell.source.replace("](../docs/", "](../").replace(".ipynb)", ".md)")
        if cell.cell_type == "code":
            text = f"```python\n{text.replace(NOT_ON_THE_SITE, '')}\n```"
            for picture in sorted(PICTURES.glob(f"{notebook.stem}-{number:02d}-*.png")):
                text += f"\n\n![What the cell shows](../images/tutorials/{picture.name})"
        parts.append(text)
    where = f"tutorials/{notebook.name}"
    return "\n\n".join([parts[0], f"*The notebook is `{where}`.*", *parts[1:]])


def on_page_markdown(markdown, page, config, files):
    """Links of the guides to notebooks, which are files in the repository, lead to their pages."""
    return markdown.replace("](../../tutorials/", "](../tutorials/").replace(".ipynb)", ".md)")
