"""The quickstart: tune a small network, each trial a PyTorchJob with a master and a worker.

    nnictl sandbox -- python examples/quickstart/main.py                       no cluster needed
    nnictl sandbox --claim nni -- python examples/quickstart/main.py --storage pvc
    nnictl sandbox --azure -- python examples/quickstart/main.py --storage azure
    python examples/quickstart/main.py --platform local                        as processes
    python examples/quickstart/main.py --image IMAGE                           on your KUBECONFIG's cluster
    python examples/quickstart/main.py --image IMAGE --storage nfs --nfs SERVER:/EXPORT
    python examples/quickstart/main.py --image IMAGE --storage pvc --claim CLAIM

The image needs Python and scikit-learn, nothing of ours. Without a storage, pods fetch the code from this machine and
send their outputs to it; with one, they mount it.
"""

import argparse
import os
import sys
from pathlib import Path

from nni.errors import NniError
from nni.experiment import (
    Experiment,
    K8sAzureStorageConfig,
    K8sManagerStorageConfig,
    K8sNfsConfig,
    K8sPvcConfig,
    K8sStorageConfig,
    KubeflowRoleConfig,
)

HERE = Path(__file__).parent

SEARCH_SPACE = {
    "hidden_units": {"_type": "choice", "_value": [16, 32, 64, 128]},
    "activation": {"_type": "choice", "_value": ["relu", "tanh"]},
    "learning_rate": {"_type": "loguniform", "_value": [0.0001, 0.1]},
    "alpha": {"_type": "loguniform", "_value": [0.00001, 0.1]},
    "batch_size": {"_type": "choice", "_value": [16, 32, 64, 128]},
}


def role(image: str) -> KubeflowRoleConfig:
    """Return what the master and the worker have in common."""
    return KubeflowRoleConfig(
        replicas=1,
        command="python3 train.py",
        code_directory=HERE,
        docker_image=image,
        cpu_number=1,
        memory_size="1Gi",
    )


def storage(arguments: argparse.Namespace) -> K8sStorageConfig:
    """Return where code and outputs are."""
    match arguments.storage or ("nfs" if arguments.nfs else "manager"):
        case "nfs":
            server, _, path = (arguments.nfs or "10.20.30.40:/mnt/nfs/nni").partition(":")
            return K8sNfsConfig(server=server, path=path)
        case "azure":
            account, _, share = arguments.azure.partition("/")
            vault, _, secret = arguments.key.partition("/")
            return K8sAzureStorageConfig(
                azure_account=account,
                azure_share=share,
                key_vault_name=vault if secret else None,
                key_vault_key=secret or None,
                secret_name=None if secret else vault,
                endpoint=arguments.azure_endpoint,
            )
        case "pvc":
            return K8sPvcConfig(claim_name=arguments.claim, mount_path=arguments.mount_path)
        case _:
            return K8sManagerStorageConfig()


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--platform", choices=["kubeflow", "local"], default="kubeflow")
    parser.add_argument("--storage", choices=["manager", "nfs", "azure", "pvc"], help="where code and outputs are")
    parser.add_argument("--nfs", metavar="SERVER:PATH", help="for nfs: the export")
    # What `nnictl sandbox --azure` says to the command that runs in it.
    share, secret, endpoint = os.environ.get("NNI_SANDBOX_AZURE", "  ").split(" ")
    parser.add_argument("--azure", metavar="ACCOUNT/SHARE", default=share, help="for azure: the share")
    parser.add_argument("--key", metavar="VAULT/SECRET", default=secret, help="for azure: its key, or a Secret's name")
    parser.add_argument(
        "--azure-endpoint", metavar="URL", default=endpoint or None, help="for azure: where, if not in the public cloud"
    )
    parser.add_argument("--claim", default="nni", help="for pvc: the claim's name")
    parser.add_argument("--mount-path", metavar="DIR", help="for pvc: where this machine has it mounted, if it has")
    parser.add_argument("--image", default="python:3.11", help="container image with Python and scikit-learn")
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--concurrency", type=int, default=3, help="trials at a time")
    parser.add_argument("--port", type=int, default=8080, help="the portal's; trials report to the next one")
    arguments = parser.parse_args()
    if arguments.storage == "azure" and not ("/" in arguments.azure and arguments.key):
        parser.error(
            "--storage azure needs a share and its key: --azure ACCOUNT/SHARE --key VAULT/SECRET (or the name of a "
            "Secret of the cluster), or a sandbox that has them: nnictl sandbox --azure -- python ..."
        )
    return arguments


def main() -> int:
    """Run the experiment; 0 when it came to its end."""
    arguments = parse()

    experiment = Experiment(arguments.platform)
    experiment.config.experiment_name = "quickstart"
    experiment.config.search_space = SEARCH_SPACE
    experiment.config.tuner.name = "TPE"
    experiment.config.tuner.class_args = {"optimize_mode": "maximize", "seed": 1}
    experiment.config.max_trial_number = arguments.trials
    experiment.config.trial_concurrency = arguments.concurrency
    if arguments.platform == "local":
        experiment.config.trial_command = "python3 train.py"
        experiment.config.trial_code_directory = HERE
    else:
        experiment.config.training_service.operator = "pytorch-operator"
        experiment.config.training_service.api_version = "v1"
        experiment.config.training_service.storage = storage(arguments)
        experiment.config.training_service.master = role(arguments.image)
        experiment.config.training_service.worker = role(arguments.image)
    return 0 if experiment.run(arguments.port) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (NniError, ValueError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
