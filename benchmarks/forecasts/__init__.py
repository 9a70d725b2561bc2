"""``hpo simulate`` beside what the same studies then cost."""
