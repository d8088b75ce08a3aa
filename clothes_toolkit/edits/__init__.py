"""The only room that writes: new files and folders, and changes of a dataset in place."""
