"""What can be compared: numbers of a run, one each."""

LABELS = {
    "best_val_accuracy": "best validation accuracy",
    "final_val_accuracy": "last validation accuracy",
    "final_train_accuracy": "last training accuracy",
    "final_train_loss": "last training loss (nats)",
    "test_accuracy": "test accuracy of the best weights",
}
"""Each in words; the epoch that it is of is part of the name."""
