"""The data of earlier versions, and how it becomes that of this one."""
