"""What is known of ONNX's operators: their kinds, which inputs are weights, and what they only rename.

Source: onnx/docs/Operators.md (opsets 1 to 26). What is not listed here is unknown and never counted as free.
"""

import re

from onnx import NodeProto

# The words of litevision.cost.LayerCost, where they are not the operator's own name.
RENAMED = {
    "BatchNormalization": "batch_norm",
    "GlobalAveragePool": "avg_pool",
    "AveragePool": "avg_pool",
    "GlobalMaxPool": "max_pool",
    "MaxPool": "max_pool",
    "ReduceMean": "mean",
    "HardSwish": "hardswish",
    "HardSigmoid": "hardsigmoid",
    "Sum": "add",
}


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


VIEWS = _names("Reshape Flatten Squeeze Unsqueeze Identity Dropout Optional OptionalGetElement")

# Read as many bytes of their first input as they write.
SLICES = _names("Slice Gather GatherElements GatherND CenterCropPad Trilu Compress Unique")

# Read the shape of a tensor, not the tensor.
SHAPES = _names("Shape Size SequenceLength OptionalHasElement")

IN_PLACE = _names(
    """BatchNormalization Relu Clip HardSwish HardSigmoid Sigmoid LeakyRelu PRelu Elu Selu Celu Gelu Mish Swish Softplus
    Softsign Tanh ThresholdedRelu"""
)

# No multiply-adds in this ledger's sense: those of convolutions and matrix products alone count.
_FREE = _names(
    """Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool Bernoulli BitCast BitShift BitwiseAnd
    BitwiseNot BitwiseOr BitwiseXor BlackmanWindow Cast CastLike Ceil Concat Constant ConstantOfShape
    ConcatFromSequence Cos Cosh CumProd CumSum DepthToSpace DequantizeLinear Div DynamicQuantizeLinear Equal Erf Exp
    AffineGrid Expand EyeLike Floor GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GridSample
    GroupNormalization
    HammingWindow HannWindow Hardmax InstanceNormalization IsInf IsNaN LRN LayerNormalization Less LessOrEqual Log
    LogSoftmax LpNormalization LpPool Max MaxPool MaxRoiPool MaxUnpool Mean MeanVarianceNormalization Min Mod Mul
    Multinomial Neg NonMaxSuppression NonZero Not OneHot Or Pad Pow QuantizeLinear RMSNormalization RandomNormal
    RandomNormalLike RandomUniform RandomUniformLike Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp
    ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Resize ReverseSequence RoiAlign Round Scatter
    ScatterElements ScatterND SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert Shrink Sign Sin
    Sinh Softmax SpaceToDepth Split SplitToSequence Sqrt Sub Sum Tan Tile TopK Transpose Upsample Where Xor"""
)
FREE = _FREE | VIEWS | SLICES | SHAPES | IN_PLACE

PRODUCTS = frozenset({"Gemm", "MatMul", "MatMulInteger", "QLinearMatMul"})

# The places of both factors among the inputs, the weight last, and that of the bias.
OPERANDS = {
    "Conv": (0, 1),
    "ConvTranspose": (0, 1),
    "ConvInteger": (0, 1),
    "QLinearConv": (0, 3),
    "Gemm": (0, 1),
    "MatMul": (0, 1),
    "MatMulInteger": (0, 1),
    "QLinearMatMul": (0, 3),
}
BIAS = {"Conv": 2, "ConvTranspose": 2, "QLinearConv": 8, "Gemm": 2}

# The places of learned numbers among the inputs of what is free; of an operator that stands nowhere here, all.
LEARNED = {
    "BatchNormalization": (1, 2),
    "InstanceNormalization": (1, 2),
    "GroupNormalization": (1, 2),
    "LayerNormalization": (1, 2),
    "RMSNormalization": (1,),
    "PRelu": (1,),
    **dict.fromkeys(("RNN", "GRU", "LSTM"), (1, 2, 3, 7)),
    "DeformConv": (1, 3),
    "Attention": (),
    "com.microsoft:Attention": (1, 2),
    "com.microsoft:MultiHeadAttention": (3,),
    "Gather": (0,),
    **dict.fromkeys(("Clip", "Pad", "Resize", "Upsample", "QuantizeLinear", "DequantizeLinear"), ()),
    **dict.fromkeys(("NonMaxSuppression", "OneHot", "Expand", "Tile", "Range", "TopK", "Slice", "Pow"), ()),
}
STATISTICS = {"BatchNormalization": (3, 4)}


def kind_of(op_type: str) -> str:
    """The kind of an operator that is free: ``max_pool``, ``hardswish``, ``depth_to_space``."""
    return RENAMED.get(op_type) or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", op_type).lower()


def is_standard(node: NodeProto) -> bool:
    """Whether its operator is ONNX's own."""
    return node.domain in ("", "ai.onnx")


def operator_of(node: NodeProto) -> str:
    """Its operator, with the domain where that is not ONNX's own."""
    return node.op_type if is_standard(node) else f"{node.domain}:{node.op_type}"
