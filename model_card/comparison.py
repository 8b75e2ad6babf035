"""Published figures that the card sets its own beside, each with what must be known to compare them."""

PUBLISHED = (
    {
        "name": "EfficientNetB2, arXiv 2601.18228",
        "parameters": "9.2M",
        "accuracy": "68.78%",
        "caveat": "the recipe followed here; ImageNet weights; FER-2013's test set, one number for it",
    },
    {
        "name": "ViT-B/16, the most used FER model on the Hub",
        "parameters": "86M",
        "accuracy": "71.16%",
        "caveat": "as its card reports it; ImageNet-21k weights; which test split is not said",
    },
    {
        "name": "VGG from scratch, Khaireddin & Chen 2021, arXiv 2105.03588",
        "parameters": "",
        "accuracy": "73.28%",
        "caveat": "PrivateTest, ten-crop, 300 epochs; among the best single networks without other data",
    },
    {
        "name": "`fer` (Python package)",
        "parameters": "",
        "accuracy": "65.6%",
        "caveat": "PrivateTest, measured when this project was planned, not again for this card",
    },
)
