"""Run every benchmark, each in a process of its own; a failing one does not stop the others."""

import os
import subprocess
import sys
import time
from pathlib import Path

SCRIPTS = (
    "import_time.py",
    "module_loading.py",
    "image_reading.py",
    "feature_transfer.py",
    "fine_tuning_step.py",
    "lora.py",
    "fine_tuning_recipe.py",
    "extraction_memory.py",
    "few_shot_memory.py",
    "ray_extraction.py",
    "vae_speed.py",
    "vae_likelihood.py",
    "gan_step.py",
    "flow_step.py",
    "gan_quality.py",
    "conditional_gan_quality.py",
    "flow_quality.py",
    "gan_flowers.py",
    "epoch_ends.py",
    "replicas_cost.py",
    "cluster_arithmetic.py",
    "training_memory.py",
    "projected_gan.py",
    "super_resolution.py",
    "gan_transfer.py",
    "flow_transfer.py",
    "gan_recall.py",
    "class_imbalance.py",
    "semi_supervised.py",
    "domain_adaptation.py",
    "pix2pix_facades.py",
    "cyclegan_facades.py",
    "tuner_trials.py",
    "language_model.py",
    "translation.py",
    "images_from_words.py",
    "text_transfer.py",
    "generation_speed.py",
    "text_vae.py",
    "summaries.py",
    "parent_child.py",
    "wavenet.py",
    "wavegan.py",
    "music.py",
    "splice_junctions.py",
    "promoters.py",
    "designed_promoters.py",
    "protein_structure.py",
    "spoken_digits.py",
    "detection.py",
    "gpu.py",
)


def main() -> int:
    folder = Path(__file__).parent
    failed = []
    # TensorFlow leaves its faster convolutions off on CPUs without AVX-512; both sides get them.
    environment = {"TF_ENABLE_ONEDNN_OPTS": "1", **os.environ}
    for number, script in enumerate(SCRIPTS, start=1):
        if not (folder / script).exists():
            continue
        print(f"== {number}/{len(SCRIPTS)} {script}", flush=True)
        start = time.perf_counter()
        command = [sys.executable, str(folder / script)]
        if subprocess.run(command, env=environment, check=False).returncode:
            failed.append(script)
        print(f"== {script}: {time.perf_counter() - start:.0f} s", flush=True)
    print(f"failed: {failed}" if failed else "all benchmarks ran; see benchmarks/RESULTS.md")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
