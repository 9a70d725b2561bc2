"""The end of a study: its best models are put together, judged once on images that nobody has seen, and handed over.

``python -m hpo_trainer.final`` does all of it, on the machine that holds the checkpoints and the images: ``predict``
stores what each candidate makes of the validation images, ``choice`` says from these numbers which are combined,
``retrain`` trains the best anew if it is asked for, ``build`` judges the choice and writes the model, the card and the
pictures.
"""
