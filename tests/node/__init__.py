"""A real node: a kubelet, kube-proxy and containerd, which run the two images in real containers."""
