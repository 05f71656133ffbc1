"""What a network costs: its parameters, multiply-adds and activation memory, layer by layer, and its drawing."""

from litevision.cost.ledger import LayerCost, Ledger, Saving, ledger

__all__ = ["LayerCost", "Ledger", "Saving", "ledger"]
