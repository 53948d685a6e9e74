"""One real day on a grid clock: three SDK programs and two operators' desks around `gridsignal up`."""
