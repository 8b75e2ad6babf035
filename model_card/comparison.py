"""Published figures that the card sets its own beside, each with what must be known to compare them."""

PUBLISHED = (
    {
        "name": "EfficientNetB2, arXiv 2601.18228",
        "parameters": "9.2M",
        "accuracy": "68.78%",
        "split": "FER-2013's test pictures, one figure for all",
        "pretraining": "ImageNet",
        "views": "none stated",
        "chosen": "not stated",
    },
    {
        "name": "ViT-B/16, `trpakov/vit-face-expression`",
        "parameters": "86M",
        "accuracy": "71.16%",
        "split": '"test", not said which (its card names the folder version)',
        "pretraining": "ImageNet-21k",
        "views": "none stated",
        "chosen": "not stated",
    },
    {
        "name": "VGG, Khaireddin & Chen 2021, arXiv 2105.03588",
        "parameters": "not stated",
        "accuracy": "73.28%",
        "split": "PublicTest in the authors' code (usef-kh/fer, 692f7d9)",
        "pretraining": "none",
        "views": "ten-crop",
        "chosen": "PrivateTest in that code",
    },
    {
        "name": "`fer` (Python package)",
        "parameters": "not stated",
        "accuracy": "65.6%",
        "split": "PrivateTest, measured when this project was planned, not again for this card",
        "pretraining": "not stated",
        "views": "single crop",
        "chosen": "not stated",
    },
)
