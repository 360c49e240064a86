"""Language models that read texts: where they come from, their frozen part, their trained part."""
