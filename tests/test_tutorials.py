"""Every tutorial runs from top to bottom in a kernel of its own, and finds what its text says."""

import json
import re
from pathlib import Path

import nbformat
import pytest

from tutorials.execute import INSTALL, TutorialError, execute

pytestmark = pytest.mark.long

FOLDER = Path(__file__).parents[1] / "tutorials"
TUTORIALS = sorted(FOLDER.glob("*.ipynb"), key=lambda path: int(path.stem.split("_")[0]))

# What each tutorial teaches, in its own `results`; bounds leave room for other machines' rounding.
CLAIMS = {
    "1_quickstart": [
        "accuracy > 0.96",
        "accuracy > scratch_accuracy > 0.85",
        "distance_of_samples < 0.5 * distance_of_noise",
    ],
    "2_feature_transfer_from_tf_hub": [
        "accuracy > 0.97",
        "features_at_10 > pixels_at_10 + 0.03",
        "centroid_at_1 > 0.75",
        "intruder_refused and intruder_left_no_trace",
    ],
    "3_fine_tuning_well": [
        "moved_in_one_phase > moved_in_two_phases > moved_layer_wise",
        "turned_two_phases > turned_one_phase",
        "noisy_one_phase > noisy_head_only",
        "put_back",
        "3e-3 < lowest_at < 3e-2 and 3e-4 < upper_end < 1e-2",
        "negatives_same_rate > negatives_head_only + 0.02",
        "negatives_same_rate > negatives_layer_wise",
        "negatives_same_rate > max(negatives_slow, negatives_fast)",
        "negatives_by_itself > negatives_head_only + 0.02",
        "negatives_by_itself > negatives_same_rate - 0.02",
        "fitting_by_itself > fitting_head_only - 0.01",
    ],
    "4_lora_on_a_savedmodel": [
        "chain_rule_error < 1e-12",
        "full > probe + 0.02",
        "lora > probe + 0.01",
        "rank == 4",
        "lora_share < 0.06",
        "base_is_exact and delta_is_whole",
        "delta_share_of_file < 0.05",
        "upside_down > 0.9",
        "merge_difference < 1e-3",
    ],
    "5_vae": [
        "abs(kl_by_hand - kl_logged) < 1e-3",
        # The bound, what it bounds, and a model without latent variables.
        "independent_pixels + 4 < elbo < log_likelihood < -15",
        "active_units_at_beta_4 < active_units_at_beta_025",
    ],
    "6_gan": [
        "logit_error < 0.3",
        # 2 log 2 and log 2, the game's value at its fixed point.
        "abs(discriminator_loss - 1.386) < 0.15 and abs(generator_loss - 0.693) < 0.15",
        "distance < 0.15 * distance_after_one_epoch",
        "distance < 0.15 * distance_of_noise",
        "precision > 0.35 and precision_of_noise < 0.1",
        "recall > 0.5 and recall_of_one_sample < 0.05",
    ],
    "7_conditional_gan": [
        "shows_its_class > 0.93",
        "real_teaches > teaches > by_heart_teaches + 0.08",
        "by_heart_shows > 0.95",
        "1.6 < entropy_unconditional < 2.3027",
        "file_is_whole",
    ],
    "8_keras_tuner": [
        "test_accuracy > plain_accuracy",
        "abs(validation_accuracy - test_accuracy) < 0.08",
        "sets_of_features == 2",
        "(trials_found, trials_in_the_end) == (8, 10)",
        "nats_with_16_units < nats_with_2_units - 0.3",
    ],
    "9_several_gpus_and_machines": [
        "weight_difference < 1e-4",
        "abs(vae_one_replica - vae_two_replicas) < 0.4",
        "workers_agree",
        "worker_difference < 1e-4",
        "lora_share_of_bytes < 0.1",
    ],
    "10_your_own_models_on_the_training_core": [
        "0.1 < final_loss < 0.3 and 0.1 < validation_loss < 0.3",
        "distance_of_samples < 0.15 < 0.2 * distance_untrained",
        "jit_difference < 1e-4",
        "resume_is_exact and file_is_whole",
    ],
    "11_text_with_few_labels": [
        "loss < 1.0",
        "features_at_20 > words_at_20 - 0.02",
        "tuned_at_20 > features_at_20 - 0.03",
        "tuned_at_100 > features_at_100 + 0.01",
        "macro_f1 > 0.65",
        "file_is_whole",
    ],
    "12_your_own_photographs": [
        "new_accuracy > 0.9 and accuracy > 0.9",
        "broken_is_named and left_out_is_told",
        "answers == 30 and names",
    ],
    "13_translation": [
        "greedy > 0.6 and beam > greedy - 0.03",
        "child > from_nothing + 0.05",
        "file_is_whole",
    ],
    "14_text_vae": [
        # No model of the sentences can be better than their entropy.
        "best_possible < nats < best_possible + 3",
        "gap > 5 and gap > gap_plain + 3",
        "possible > 0.5 and words_kept > 0.45",
        "file_is_whole",
    ],
    "15_chorales": [
        # No model of the pieces can be better than their entropy.
        "best_possible < plain_in_c < best_possible + 0.5",
        "plain_elsewhere > plain_in_c + 3",
        "abs(elsewhere - in_c) < 0.5 and elsewhere < plain_elsewhere - 2",
        "chords > 0.7",
        "melody_is_kept and file_is_whole",
    ],
    "16_promoters": [
        # No answers can be better than those of the rules themselves.
        "best_second < best_first and best_first - 0.1 < at_home < best_first",
        "best_second - abroad > best_first - at_home",
        "max(letters) < 0.56 and max(words) < 0.68",
        "best_second > frozen[0] > words[2] + 0.1",
        "abs(frozen[2] - frozen[0]) < 0.05",
        "in_boxes > 0.5",
        "called[0] == 1 and called[1] < 0.9 and max(called[2:]) < 0.5",
        "file_is_whole",
    ],
    "17_spoken_vowels": [
        "bits < 4.0 and 7 < histogram < 8",
        "by_likelihood > 0.95",
        "real['agreement'] > 0.97 and drawn['agreement'] > 0.9 and sharper['agreement'] > 0.9",
        "noise['agreement'] < 0.5",
        "real['periodic'] - 0.1 > sharper['periodic'] > drawn['periodic']",
        "drawn['periodic'] > noise['periodic'] + 0.2",
        "0.9 < drawn['loudness'] / real['loudness'] < 1.1",
        "0.9 < sharper['loudness'] / real['loudness'] < 1.1",
        "0.9 < drawn['seconds'] / real['seconds'] < 1.1",
        "gan['agreement'] > 0.9 and gan['periodic'] > noise['periodic'] + 0.2",
        "file_is_whole",
    ],
    "18_where_is_what": [
        "map50 > 0.9 and map > 0.3",
        "crops < 100 and which > 0.8",
        "file_is_whole and larger_is_found",
    ],
    "19_a_flow": [
        "largest_error < 0.2 and abs(mean - 2) < 0.1 and abs(deviation - 0.5) < 0.08",
        "agreement[0] < 0.2 and 0.6 < agreement[1] < agreement[2] and agreement[2] > 0.9",
        "1.3 > diversity[0] > diversity[1] > diversity[2] > 0.4",
        "euler[1] < 0.7 * euler[0] and heun[1] < 0.6 * heun[0] and heun[1] < euler[1]",
        "reconstruction < 0.15 and agreement_in_latents > 0.8",
        "known_is_kept and file_is_whole",
    ],
}


def with_id(path: Path) -> str:
    return path.stem


def test_nineteen_tutorials_each_with_a_claim():
    assert [int(path.stem.split("_")[0]) for path in TUTORIALS] == list(range(1, 20))
    assert {path.stem for path in TUTORIALS} == set(CLAIMS)


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=with_id)
def test_has_the_parts_of_a_tutorial(tutorial):
    cells = nbformat.read(tutorial, as_version=4).cells
    installing = [cell for cell in cells if "%pip install" in cell.source]
    assert len(installing) == 1
    assert installing[0] is next(cell for cell in cells if cell.cell_type == "code")
    assert installing[0].source == INSTALL
    assert cells[0].cell_type == "markdown"
    assert cells[0].source.startswith(f"# {tutorial.stem.split('_')[0]} · ")
    assert cells[-1].source.startswith("## What to try next")
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert "$$" in text, "the mathematics"
    assert re.search(r"\*.+\*,? \(?(19|20)\d\d", text, re.S), "its paper"


@pytest.mark.parametrize(
    ("installed", "clone", "expected"),
    [
        (True, True, []),
        (False, True, ["install -q .."]),
        (False, False, ["install -q keras_transgen-*.whl"]),
    ],
)
def test_the_first_cell_installs_what_there_is(installed, clone, expected, tmp_path, monkeypatch):
    from IPython.core.interactiveshell import InteractiveShell

    (tmp_path / "tutorials").mkdir()
    if clone:
        (tmp_path / "keras_transgen").mkdir()
    monkeypatch.chdir(tmp_path / "tutorials")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name if installed else None)
    said = []
    shell = InteractiveShell()
    shell.register_magic_function(said.append, magic_name="pip")
    shell.register_magic_function(lambda line: None, magic_name="matplotlib")
    shell.run_cell(INSTALL).raise_error()
    assert said == expected


@pytest.mark.slow
@pytest.mark.parametrize("tutorial", TUTORIALS, ids=with_id)
def test_runs_and_finds_what_it_says(tutorial, tmp_path):
    done = execute(tutorial, tmp_path)
    assert done.pictures, "no picture was shown"
    for claim in CLAIMS[tutorial.stem]:
        assert eval(claim, {}, done.results), (claim, done.results)


def test_an_error_cell_fails(tmp_path):
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("1 / 0"), nbformat.v4.new_code_cell("results = {}")]
    )
    nbformat.write(notebook, tmp_path / "broken.ipynb")
    with pytest.raises(TutorialError, match="ZeroDivisionError"):
        execute(tmp_path / "broken.ipynb", tmp_path)


def test_results_and_pictures_come_back(tmp_path):
    plot = "%matplotlib inline\nfrom matplotlib import pyplot as plt\nplt.plot([1, 2]);"
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell(plot),
            nbformat.v4.new_code_cell('results = {"half": 0.5}'),
        ]
    )
    nbformat.write(notebook, tmp_path / "two_cells.ipynb")
    done = execute(tmp_path / "two_cells.ipynb", tmp_path)
    assert json.dumps(done.results) == '{"half": 0.5}'
    assert done.pictures == 1
