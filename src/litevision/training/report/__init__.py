"""What a run tells a person: the report page, the model card, tables, and where the network looked."""
