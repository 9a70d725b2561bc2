"""The end of a study: its best models are put together, judged once on images that nobody has seen, and handed over.

``python -m hpo_trainer.final.predict`` stores what each candidate makes of the validation images. Which of them are
combined is chosen from these numbers elsewhere, without torch. ``python -m hpo_trainer.final.build`` judges the choice
and writes the model, the card and the pictures.
"""
