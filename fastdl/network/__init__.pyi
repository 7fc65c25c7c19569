from fastdl.network.fit import LearnedFeatures as LearnedFeatures
from fastdl.network.fit import NetworkFit as NetworkFit
from fastdl.network.fit import fit_network as fit_network
from fastdl.network.gradient import network_loss_grad as network_loss_grad
