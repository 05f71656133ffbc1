"""Cost ledgers of networks and ONNX graphs: parameters, multiply-adds, memory traffic; and drawings of networks."""
