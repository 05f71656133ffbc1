"""How each origin names and lays out its tensors: one file per origin, a map per family, total on both sides."""

from litevision.weights.convert.apply import Applied, apply, extract
from litevision.weights.convert.keras import KERAS
from litevision.weights.convert.layout import Layout, Tensors
from litevision.weights.convert.megvii import MEGVII
from litevision.weights.convert.own import OWN
from litevision.weights.convert.slim import SLIM
from litevision.weights.convert.timm import TIMM
from litevision.weights.convert.torchvision import TORCHVISION

LAYOUTS = {layout.name: layout for layout in (OWN, TORCHVISION, TIMM, KERAS, SLIM, MEGVII)}

__all__ = ["LAYOUTS", "Applied", "Layout", "Tensors", "apply", "extract"]
