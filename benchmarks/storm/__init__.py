"""Every Pod of a study is taken away once, at a random moment, in every way in which a cluster takes Pods away."""
