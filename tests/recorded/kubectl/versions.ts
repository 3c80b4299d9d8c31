/**
 * Differences of version between the recordings and the lab, as data. kubectl and the server of the recordings are 1.20 (or
 * kubectl 1.32 before a 1.20 server); the lab's are 1.32. A row says for which lines it holds, what the older one prints, what
 * the newer one prints in its place, and what changed upstream (where the 1.32 recording has the like, that is said). Everything round it is compared as it stands. A row rewrites
 * only the recorded text, so that it can hide nothing that the lab prints; one that changes no recorded line is a fault.
 */
import type { Recorded } from '../transcripts.ts';

export interface Difference {
  /** Whose version: the kubectl that was typed, the server that answered, or the machine that they ran on. */
  of: 'client' | 'server' | 'machine';
  files: readonly string[];
  /** Lines that it holds for. */
  cmd: RegExp;
  old: RegExp;
  now: string | ((...groups: string[]) => string);
  stream?: 'stdout' | 'stderr';
  /** The status of the newer one, where it is another. */
  exit?: number;
  why: string;
}

const OLD = ['kubectl-1.20-live'] as const;
const LIVE = ['kubectl-1.20-live', 'kubectl-1.32-live'] as const;

export const DIFFERENCES: readonly Difference[] = [
  // Client: what is shown of an object.
  { of: 'client', files: OLD, cmd: /-o yaml/, old: /^( *)managedFields:\n(?:\1(?:- |  ).*\n)+/gm, now: '', why: '1.21: get hides managedFields unless --show-managed-fields' },
  { of: 'client', files: OLD, cmd: /-o json/, old: /^( *)"managedFields": \[\n(?:\1 .*\n)+\1\],\n/gm, now: '', why: '1.21: get hides managedFields unless --show-managed-fields' },
  { of: 'client', files: OLD, cmd: /^kubectl diff/, old: / {3}managedFields:\n@@ -146,7 \+146,7 @@\n/, now: '   name: api\n@@ -15,7 +15,7 @@\n', why: 'later than 1.20: diff leaves managedFields out too, so that the second hunk begins 131 lines earlier' },
  { of: 'client', files: OLD, cmd: /-o json/, old: /"resourceVersion": "",\n *"selfLink": ""/, now: '"resourceVersion": ""', why: 'selfLink went with 1.20\'s servers, later from the lists that kubectl makes' },
  // Client: describe.
  { of: 'client', files: OLD, cmd: /describe pod/, old: /^(Priority: +\d+\n)/gm, now: '$1Service Account:  default\n', why: 'later than 1.20: describe pod names the service account; as the 1.32 recording shows' },
  { of: 'client', files: OLD, cmd: /describe (?:deploy|rs|ds)/, old: /^ {2}Volumes: +<none>\n/gm, now: '$&  Node-Selectors:  <none>\n  Tolerations:     <none>\n', why: '1.31: node selectors and tolerations of pod templates; as the 1.32 recording shows' },
  { of: 'client', files: OLD, cmd: /describe ing/, old: /^(Name: +ing\n)/m, now: '$1Labels:           <none>\n', why: 'later than 1.20: labels of an Ingress; as the 1.32 recording shows' },
  { of: 'client', files: OLD, cmd: /describe ing/, old: /^Default backend: .*$/m, now: 'Ingress Class:    <none>\nDefault backend:  <default>', why: 'later than 1.20: the class, and no made-up backend where none is set; as the 1.32 recording shows' },
  { of: 'client', files: OLD, cmd: /describe svc/, old: /^IP Families: +<none>\n/m, now: 'IP Family Policy:  SingleStack\nIP Families:  IPv4\n', why: '1.20 had dual stack behind a gate; since 1.21 every Service has its families' },
  { of: 'client', files: OLD, cmd: /describe svc/, old: /^(Session Affinity: .*\n)/m, now: '$1Internal Traffic Policy:  Cluster\n', why: '1.22: internalTrafficPolicy is set on every Service, and described later' },
  { of: 'client', files: OLD, cmd: /describe node/, old: /Memory Limits {2}AGE$/m, now: 'Memory Limits  Age', why: 'later than 1.20: the column is written as the others are; as the 1.32 recording shows' },
  // Client: words.
  { of: 'client', files: OLD, cmd: /label node worker-1 disk-$/, old: /labeled\n$/, now: 'unlabeled\n', stream: 'stdout', why: 'later than 1.20: taking a label away says so' },
  { of: 'client', files: OLD, cmd: /^kubectl (?:run x|create deployment(?: x)?)$/, old: /^Error: required flag\(s\) "(\w+)" not set\n$/, now: 'E1122 08:39:47.577879   19885 run.go:72] "command failed" err="required flag(s) \\"$1\\" not set"\n', stream: 'stderr', why: 'kubectl runs under component-base/cli, which logs such failures; as the 1.32 recording shows' },
  { of: 'client', files: OLD, cmd: /^kubectl (?:frobnicate|gett pods)$/, old: /Run 'kubectl --help' for usage\.\n$/, now: '', stream: 'stderr', why: 'component-base/cli prints the error alone; as the 1.32 recording shows' },
  { of: 'client', files: OLD, cmd: /^kubectl create$/, old: /^Error: (must specify one of -f and -k)\n\n[\s\S]*\(applies to all commands\)\.\n$/, now: 'error: $1\n', stream: 'stderr', why: 'an error does not bring the usage along; as the 1.32 recording shows' },
  { of: 'client', files: OLD, cmd: /^kubectl logs/, old: /^Error from server \(NotFound\): pods "(\w+)" not found\n$/, now: 'error: error from server (NotFound): pods "$1" not found in namespace "default"\n', stream: 'stderr', why: 'later than 1.20: logs names the namespace; as the 1.32 recording shows' },
  { of: 'client', files: OLD, cmd: /^kubectl exec solo ls$/, old: /^kubectl exec \[POD\] \[COMMAND\] is DEPRECATED[^\n]*\n[^\n]*\n$/, now: "error: exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead\nSee 'kubectl exec -h' for help and examples\n", stream: 'stderr', why: 'what was deprecated is refused; as the 1.32 recording shows' },
  { of: 'client', files: OLD, cmd: /--force --grace-period=0$/, old: /^warning: Immediate/, now: 'Warning: Immediate', stream: 'stderr', why: 'later than 1.20: warnings begin in upper case' },
  { of: 'client', files: OLD, cmd: /wait --for=delete pod\/nosuch/, old: /^error: no matching resources found\n/m, now: '', stream: 'stderr', why: 'later than 1.20: to wait for what is not there to go is no error' },
  { of: 'client', files: OLD, cmd: /kustomize \/nosuch/, old: /^Error: absolute path error in '(\S+)' : (.*)\n$/, now: 'E1122 08:39:53.353113   20258 run.go:72] "command failed" err="must build at directory: not a valid directory: $2"\n', stream: 'stderr', why: '1.21: kustomize 4 in place of 2.0.3; as the 1.32 recording shows' },
  { of: 'client', files: OLD, cmd: /kind: Foo/, old: /^error: unable to recognize "STDIN": (no matches for kind .*)\n$/, now: 'error: resource mapping not found for name: "x" namespace: "" from "STDIN": $1\nensure CRDs are installed first\n', stream: 'stderr', why: 'later than 1.20: the message names the object and what to do' },
  { of: 'client', files: OLD, cmd: /^kubectl version -o yaml$/, old: /^( {2}minor: )"20"([\s\S]*?)^serverVersion/m, now: '$1"32"$2kustomizeVersion: v5.5.0\nserverVersion', why: 'the client itself; 1.24: its kustomize is told' },
  { of: 'client', files: ['kubectl-1.32-offline'], cmd: /^kubectl version --client -o yaml$/, old: /^ {2}minor: 32\+$/m, now: '  minor: "32"', why: 'a build with a suffix to its version calls its minor version 32+' },
  // Server.
  { of: 'server', files: LIVE, cmd: /containerz/, old: /^error: error validating "STDIN": error validating data: \[ValidationError\(Pod\.spec\): unknown field "containerz" in io\.k8s\.api\.core\.v1\.PodSpec, .*\n$/, now: 'Error from server (BadRequest): error when creating "STDIN": Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.containerz"\n', stream: 'stderr', why: '1.25: the server validates fields (KEP 2885); kubectl does so itself only before an older one' },
  { of: 'server', files: OLD, cmd: /^kubectl apply -f pend\.yaml$/, old: /cannot be handled as a Pod: v1\.Pod\.Spec: v1\.PodSpec\.Containers: \[\]v1\.Container: v1\.Container\.Image: ReadString: expects " or n, but found t, .*$/m, now: 'cannot be handled as a Pod: json: cannot unmarshal bool into Go struct field Container.spec.containers.image of type string', stream: 'stderr', why: '1.23: decoded by encoding/json, no longer by json-iterator' },
  { of: 'server', files: OLD, cmd: /componentstatuses/, old: /Unhealthy {3}Get "http:\/\/127\.0\.0\.1:1025[12]\/healthz": dial tcp 127\.0\.0\.1:1025[12]: connect: connection refused {3}/g, now: 'Healthy   ok        ', stream: 'stdout', why: 'asked at the secure ports since insecure ones are gone; 1.20 asked at those, which were closed here' },
  { of: 'server', files: OLD, cmd: /componentstatuses/, old: /\{"health":"true"\}/, now: 'ok', stream: 'stdout', why: 'etcd is asked as the API server asks it, which says ok' },
  { of: 'server', files: ['kubectl-1.32-live'], cmd: /describe ing/, old: /web:80 \(<error: the server could not find the requested resource>\)/, now: 'web:80 (10.244.1.1:80,10.244.1.2:80,10.244.2.1:80)', stream: 'stdout', why: '1.21: discovery.k8s.io/v1, in which kubectl 1.32 looks for the three pods of line 4; a 1.20 server has it not' },
  { of: 'server', files: ['kubectl-1.32-live'], cmd: /describe ing/, old: /^Warning: short name "ing" could also match lower priority resource ingresses\.extensions\n/, now: '', stream: 'stderr', why: '1.22: no Ingress of extensions/v1beta1 any more' },
  { of: 'server', files: ['kubectl-1.32-live'], cmd: /^kubectl get all$/, old: /\n(NAME +COMPLETIONS[\s\S]*?\n)\n(NAME +SCHEDULE[\s\S]*)$/, now: '\n$2\n$1', stream: 'stdout', why: '1.21: cronjobs are of batch/v1 and come before jobs; in 1.20 they were of batch/v1beta1, which came after' },
  { of: 'machine', files: ['kubectl-1.32-live'], cmd: /^kubectl get deploy web -o yaml$/, old: /^( *(?:generation|observedGeneration)): 6$/gm, now: '$1: 5', stream: 'stdout', why: 'a line that was left out wrote the specification once more' },
  // Machine: how its API server reached kubelets.
  { of: 'machine', files: LIVE, cmd: /logs solo|exec solo -- ls|cp solo:|kubectl run tmp/, old: /https:\/\/worker-\d:1035\d\//, now: 'https://192.0.2.2:10250/', stream: 'stderr', why: 'kubelets of one process, each at a port of its own, asked for by host name as a bare kube-apiserver does; the lab asks by address at 10250, as kubeadm sets it up' },
  { of: 'machine', files: LIVE, cmd: /logs solo|exec solo -- ls|cp solo:|kubectl run tmp/, old: /dial tcp: lookup worker-\d on 192\.0\.2\.53:53: no such host/g, now: 'dial tcp 192.0.2.2:10250: connect: network is unreachable', stream: 'stderr', why: 'its resolver did not know the nodes; the lab has no road to them' },
];

/** The line as the lab's versions would have it, and the rows that did so. */
export function modern(file: string, line: Recorded, used: Set<Difference>): Recorded {
  const out = { ...line };
  for (const d of DIFFERENCES) {
    if (!d.files.includes(file) || !d.cmd.test(line.cmd)) continue;
    for (const stream of d.stream ? [d.stream] : (['stdout', 'stderr'] as const)) {
      const changed = out[stream].replace(d.old, d.now as string);
      if (changed === out[stream]) continue;
      out[stream] = changed;
      if (d.exit !== undefined) out.exit = d.exit;
      used.add(d);
    }
  }
  return out;
}
