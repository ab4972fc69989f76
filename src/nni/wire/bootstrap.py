"""What a container runs where there is no shared volume: a few lines of Python that fetch the runtime.

They stand in the job's manifest, with the sha256 of what they may run. Any Python 3 can read them.
"""

import string
from typing import List

_PROGRAM = string.Template("""\
import hashlib,http.client,os,signal,sys,time
from urllib.parse import quote,urlsplit
signal.signal(15,lambda *_:os._exit(143))
e=os.environ
path,digest=sys.argv[1:]
url=urlsplit(e["NNI_INTAKE_URL"])
who=[e["NNI_EXP_ID"],$who]
end=time.time()+120
while True:
  try:
    at=(url.hostname,url.port)
    pin=e.get("NNI_INTAKE_CERT_SHA256","").replace(":","").lower()
    if url.scheme=="https":
      try:import ssl
      except ImportError:
        sys.stderr.write("nni: this trial cannot start: the manager at %s is to be reached by TLS, for which this "
          "image's Python has no module ssl: use another, or set intake_tls to false\\n"%e["NNI_INTAKE_URL"])
        sys.exit(126)
      s=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if pin else ssl.create_default_context()
      if pin:s.check_hostname=False;s.verify_mode=ssl.CERT_NONE
      c=http.client.HTTPSConnection(*at,timeout=30,context=s)
      c.connect()
      if pin and hashlib.sha256(c.sock.getpeercert(True)or b"").hexdigest()!=pin:
        sys.stderr.write("nni: this trial cannot start: the manager at %s shows a certificate that is not the one this "
          "trial was told to trust, so nothing is sent there: something else answers at that address, or the manager "
          "has lost its own\\n"%e["NNI_INTAKE_URL"])
        sys.exit(126)
    else:
      c=http.client.HTTPConnection(*at,timeout=30)
    c.request("GET",url.path.rstrip("/")+"/api/v1/intake/"+"/".join(who)+"/files/"+quote(path),
      headers={"Authorization":"Bearer "+e.get("NNI_TRIAL_TOKEN","").strip()})
    a=c.getresponse()
    b=a.read()
    if a.status==200 and hashlib.sha256(b).hexdigest()==digest:break
    why="answers %d %s"%(a.status,b[:200].decode("utf-8","replace") if a.status!=200 else "with another runtime")
    if a.status in(401,403,404):end=0
  except (OSError,http.client.HTTPException) as x:why="does not answer (%s)"%x
  if time.time()>end:
    sys.stderr.write("nni: this $what cannot start: the manager at %s %s; let pods reach that address, "
      "set nni_manager_ip, or use a storage that pods can mount\\n"%(e["NNI_INTAKE_URL"],why))
    sys.exit(126)
  time.sleep(1)
c.close()
f=os.path.join(e["$place"],path)
os.makedirs(os.path.dirname(f),exist_ok=True)
t="%s.%d-%s"%(f,os.getpid(),os.uname()[1])
with open(t,"wb") as o:o.write(b)
os.replace(t,f)
os.execv(sys.executable,[sys.executable,"-I","-S",f,"$word"])
""")
_REPLICA = _PROGRAM.substitute(
    what="trial",
    who='e["NNI_TRIAL_JOB_ID"],e["NNI_TRIAL_ATTEMPT"],e["NNI_ROLE"],e.get("NNI_REPLICA_INDEX") or "0"',
    place="NNI_VOLUME",
    word="fetch",
)
# What a porter runs stands in the pod's own directory: nothing of it is left on the claim.
_PORTER = _PROGRAM.substitute(what="porter", who='"porter"', place="NNI_POD_DIR", word="porter")


def command(runtime: str, digest: str) -> List[str]:
    """Return the command of a replica's container.

    Args:
        runtime: The path of the runtime on the volume.
        digest: Its sha256, in hexadecimal.
    """
    return _command(_REPLICA, runtime, digest)


def porter_command(runtime: str, digest: str) -> List[str]:
    """Return the command of a porter's container; see ``command``."""
    return _command(_PORTER, runtime, digest)


def _command(program: str, runtime: str, digest: str) -> List[str]:
    return ["python3", "-I", "-S", "-c", program, runtime, digest]
