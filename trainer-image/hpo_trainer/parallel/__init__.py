"""One trial on several GPUs of one Pod: a process for each, which share every batch and stay alike bit for bit.

``launcher`` starts the processes and says how they ended, ``worker`` is what each of them is told, ``share`` what of a
batch is its own, ``group`` what they do together.
"""
