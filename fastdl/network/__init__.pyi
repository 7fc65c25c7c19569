from fastdl.network.fit import fit_network as fit_network
from fastdl.network.gradient import network_loss_grad as network_loss_grad
from fastdl.network.learned_features import LearnedFeatures as LearnedFeatures
from fastdl.network.result import NetworkFit as NetworkFit
