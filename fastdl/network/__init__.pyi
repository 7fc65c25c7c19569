from fastdl.network.classification import NetworkClassifierFit as NetworkClassifierFit
from fastdl.network.classification import fit_network_classifier as fit_network_classifier
from fastdl.network.fit import fit_network as fit_network
from fastdl.network.gradient import network_loss_grad as network_loss_grad
from fastdl.network.learned_features import LearnedFeatures as LearnedFeatures
from fastdl.network.result import NetworkFit as NetworkFit
