"""Other managers' files as a devport.yaml: text in, text out, and a line for each thing that is lost."""
