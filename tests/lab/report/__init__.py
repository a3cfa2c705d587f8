"""What a run has shown: the transcript, tables, the report and the drawing."""
