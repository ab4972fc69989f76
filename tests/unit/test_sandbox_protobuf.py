"""Bodies as kubectl has sent them, byte for byte."""

import pytest

from nni.sandbox import schema, status
from nni.sandbox.api import protobuf


@pytest.fixture(scope="module")
def decoder() -> protobuf.Decoder:
    return protobuf.load(schema.load())


SECRET = (
    "6b3873000a0c0a027631120653656372657412240a180a017312001a0764656661756c7422002a0032003800420012060a016b1201761a0022"
    "001a002200"
)
BINDING = (
    "6b3873000a2b0a1c726261632e617574686f72697a6174696f6e2e6b38732e696f2f7631120b526f6c6542696e64696e67125f0a190a0272"
    "6212001a0764656661756c7422002a00320038004200121c0a0e536572766963654163636f756e7412001a03626f622203666f6f1a240a19"
    "726261632e617574686f72697a6174696f6e2e6b38732e696f1204526f6c651a01721a002200"
)
REVIEW = (
    "6b3873000a320a17617574686f72697a6174696f6e2e6b38732e696f2f7631121753656c665375626a656374416363657373526576696577"
    "123f0a100a0012001a0022002a0032003800420012210a1f0a0764656661756c7412036765741a0022002a04706f647332003a036c6f671a"
    "08080012001a0020001a002200"
)
TOKEN = (
    "6b3873000a280a1861757468656e7469636174696f6e2e6b38732e696f2f7631120c546f6b656e52657175657374121d0a100a0012001a00"
    "22002a00320038004200120320d8041a040a0012001a002200"
)
SERVICE = (
    "6b3873000a0d0a027631120753657276696365126a0a220a017312001a0764656661756c7422002a003200380042005a080a036170701201"
    "7312400a1b0a0738302d38303830120354435018502207080010903f1a00280012080a036170701201731a002209436c757374657249503a"
    "00420052005a00600068001a020a001a002200"
)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            SECRET,
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "s", "namespace": "default"},
                "data": {"k": "dg=="},
            },
        ),
        (
            BINDING,
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": {"name": "rb", "namespace": "default"},
                "subjects": [{"kind": "ServiceAccount", "name": "bob", "namespace": "foo"}],
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
            },
        ),
        (
            REVIEW,
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {
                    "resourceAttributes": {
                        "namespace": "default",
                        "verb": "get",
                        "resource": "pods",
                        "name": "log",
                    }
                },
            },
        ),
        (
            TOKEN,
            {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {"expirationSeconds": 600},
            },
        ),
        (
            SERVICE,
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "s", "namespace": "default", "labels": {"app": "s"}},
                "spec": {
                    "type": "ClusterIP",
                    "selector": {"app": "s"},
                    "ports": [{"name": "80-8080", "protocol": "TCP", "port": 80, "targetPort": 8080}],
                },
            },
        ),
    ],
)
def test_a_body_reads_as_the_json_it_stands_for(decoder: protobuf.Decoder, body: str, expected: schema.Object) -> None:
    assert decoder.decode(bytes.fromhex(body)) == expected


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{}", 400),
        (bytes.fromhex(SECRET)[:30], 400),
        (b"k8s\x00\x0a\x0c\x0a\x02v1\x12\x06Gadget\x12\x00", 415),
        (b"k8s\x00\x0a\x0c\x0a\x02v1\x12\x06Secret\x12\x02\x78\x01", 415),
    ],
)
def test_what_cannot_be_read_is_refused(decoder: protobuf.Decoder, body: bytes, code: int) -> None:
    with pytest.raises(status.Refusal) as caught:
        decoder.decode(body)
    assert caught.value.code == code
