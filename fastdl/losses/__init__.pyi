from fastdl.losses.custom import CustomLoss as CustomLoss
from fastdl.losses.custom import custom_loss as custom_loss
from fastdl.losses.lp import LpLoss as LpLoss
from fastdl.losses.lp import lp_loss as lp_loss
from fastdl.losses.lp import lp_loss_grad as lp_loss_grad
from fastdl.losses.powers import PowerLoss as PowerLoss  # not in fastdl
from fastdl.losses.powers import as_loss as as_loss  # not in fastdl
