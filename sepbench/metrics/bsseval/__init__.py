"""ISR, SIR and SAR of BSSEval v4."""
