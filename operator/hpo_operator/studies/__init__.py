"""Studies where they are: in a file, in a folder of ``hpo run``, in a cluster. For the command line and for Python."""
