/** kubectl's help: what there is, how each command is used, and its options by the row that reads them. Source: kubectl 1.32 --help. */
const ROWS = `Basic Commands (Beginner):
create|Create a resource from a file or from stdin
expose|Take a replication controller, service, deployment or pod and expose it as a new Kubernetes service
run|Run a particular image on the cluster
set|Set specific features on objects
Basic Commands (Intermediate):
explain|Get documentation for a resource
get|Display one or many resources
edit|Edit a resource on the server
delete|Delete resources by file names, stdin, resources and names, or by resources and label selector
Deploy Commands:
rollout|Manage the rollout of a resource
scale|Set a new size for a deployment, replica set, or replication controller
autoscale|Auto-scale a deployment, replica set, stateful set, or replication controller
Cluster Management Commands:
certificate|Modify certificate resources
cluster-info|Display cluster information
top|Display resource (CPU/memory) usage
cordon|Mark node as unschedulable
uncordon|Mark node as schedulable
drain|Drain node in preparation for maintenance
taint|Update the taints on one or more nodes
Troubleshooting and Debugging Commands:
describe|Show details of a specific resource or group of resources
logs|Print the logs for a container in a pod
attach|Attach to a running container
exec|Execute a command in a container
port-forward|Forward one or more local ports to a pod
proxy|Run a proxy to the Kubernetes API server
cp|Copy files and directories to and from containers
auth|Inspect authorization
debug|Create debugging sessions for troubleshooting workloads and nodes
events|List events
Advanced Commands:
diff|Diff the live version against a would-be applied version
apply|Apply a configuration to a resource by file name or stdin
patch|Update fields of a resource
replace|Replace a resource by file name or stdin
wait|Experimental: Wait for a specific condition on one or many resources
kustomize|Build a kustomization target from a directory or URL
Settings Commands:
label|Update the labels on a resource
annotate|Update the annotations on a resource
completion|Output shell completion code for the specified shell (bash, zsh, fish, or powershell)
Subcommands provided by plugins:
Other Commands:
api-resources|Print the supported API resources on the server
api-versions|Print the supported API versions on the server, in the form of "group/version"
config|Modify kubeconfig files
plugin|Provides utilities for interacting with plugins
version|Print the client and server version information`.split('\n');

const TAIL = 'Use "kubectl options" for a list of global command-line options (applies to all commands).\n';

/** Every command's name, in the order of the groups: so cobra suggests them. */
export const listed = (): string[] => ROWS.flatMap((row) => (row.includes('|') ? [row.split('|')[0]!] : []));

export function help(): string {
  let text = 'kubectl controls the Kubernetes cluster manager.\n\n Find more information at: https://kubernetes.io/docs/reference/kubectl/\n';
  for (const row of ROWS) {
    const [name = '', says] = row.split('|');
    text += says === undefined ? `\n${name}\n` : `  ${name.padEnd(15)} ${says}\n`;
  }
  return `${text}\nUsage:\n  kubectl [flags] [options]\n\nUse "kubectl <command> --help" for more information about a given command.\n${TAIL}`;
}

/** Commands below a command, with what they do. */
const SUBCOMMANDS: Readonly<Record<string, string>> = {
  create: 'clusterrole|Create a cluster role\nclusterrolebinding|Create a cluster role binding for a particular cluster role\nconfigmap|Create a config map from a local file, directory or literal value\ncronjob|Create a cron job with the specified name\ndeployment|Create a deployment with the specified name\ningress|Create an ingress with the specified name\njob|Create a job with the specified name\nnamespace|Create a namespace with the specified name\npoddisruptionbudget|Create a pod disruption budget with the specified name\npriorityclass|Create a priority class with the specified name\nquota|Create a quota with the specified name\nrole|Create a role with single rule\nrolebinding|Create a role binding for a particular role or cluster role\nsecret|Create a secret using a specified subcommand\nservice|Create a service using a specified subcommand\nserviceaccount|Create a service account with the specified name\ntoken|Request a service account token',
  'create secret': 'docker-registry|Create a secret for use with a Docker registry\ngeneric|Create a secret from a local file, directory, or literal value\ntls|Create a TLS secret',
  'create service': 'clusterip|Create a ClusterIP service\nexternalname|Create an ExternalName service\nloadbalancer|Create a LoadBalancer service\nnodeport|Create a NodePort service',
  rollout: 'history|View rollout history\npause|Mark the provided resource as paused\nrestart|Restart a resource\nresume|Resume a paused resource\nstatus|Show the status of the rollout\nundo|Undo a previous rollout',
  set: 'env|Update environment variables on a pod template\nimage|Update the image of a pod template\nresources|Update resource requests/limits on objects with pod templates\nselector|Set the selector on a resource\nserviceaccount|Update the service account of a resource\nsubject|Update the user, group, or service account in a role binding or cluster role binding',
  config: 'current-context|Display the current-context\ndelete-cluster|Delete the specified cluster from the kubeconfig\ndelete-context|Delete the specified context from the kubeconfig\ndelete-user|Delete the specified user from the kubeconfig\nget-clusters|Display clusters defined in the kubeconfig\nget-contexts|Describe one or many contexts\nget-users|Display users defined in the kubeconfig\nrename-context|Rename a context from the kubeconfig file\nset|Set an individual value in a kubeconfig file\nset-cluster|Set a cluster entry in kubeconfig\nset-context|Set a context entry in kubeconfig\nset-credentials|Set a user entry in kubeconfig\nunset|Unset an individual value in a kubeconfig file\nuse-context|Set the current-context in a kubeconfig file\nview|Display merged kubeconfig settings or a specified kubeconfig file',
  auth: 'can-i|Check whether an action is allowed\nreconcile|Reconciles rules for RBAC role, role binding, cluster role, and cluster role binding objects\nwhoami|Experimental: Check self subject attributes',
  top: 'node|Display resource (CPU/memory) usage of nodes\npod|Display resource (CPU/memory) usage of pods',
  apply: 'edit-last-applied|Edit latest last-applied-configuration annotations of a resource/object\nset-last-applied|Set the last-applied-configuration annotation on a live object to match the contents of a file\nview-last-applied|View the latest last-applied-configuration annotations of a resource/object',
  'cluster-info': 'dump|Dump relevant information for debugging and diagnosis',
  plugin: 'list|List all visible plugin executables on a user\'s PATH',
  certificate: 'approve|Approve a certificate signing request\ndeny|Deny a certificate signing request',
};

const MORE: Readonly<Record<string, string>> = { top: '\n The top command allows you to see the resource consumption for nodes or pods.\n\n This command requires Metrics Server to be correctly configured and working on the server.\n' };

/** What stands after the command in its usage line. */
const USAGE: Readonly<Record<string, string>> = {
  get: '[(-o|--output=)json|yaml|name|go-template|go-template-file|template|templatefile|jsonpath|jsonpath-as-json|jsonpath-file|custom-columns|custom-columns-file|wide] (TYPE[.VERSION][.GROUP] [NAME | -l label] | TYPE[.VERSION][.GROUP]/NAME ...) [flags]',
  describe: '(-f FILENAME | TYPE [NAME_PREFIX | -l label] | TYPE/NAME)', create: '-f FILENAME', apply: '(-f FILENAME | -k DIRECTORY)', delete: '([-f FILENAME] | [-k DIRECTORY] | TYPE [(NAME | -l label | --all)])',
  edit: '(RESOURCE/NAME | -f FILENAME)', run: 'NAME --image=image [--env="key=value"] [--port=port] [--dry-run=server|client] [--overrides=inline-json] [--command] -- [COMMAND] [args...]',
  expose: '(-f FILENAME | TYPE NAME) [--port=port] [--protocol=TCP|UDP|SCTP] [--target-port=number-or-name] [--name=name] [--external-ip=external-ip-of-service] [--type=type]',
  scale: '[--resource-version=version] [--current-replicas=count] --replicas=COUNT (-f FILENAME | TYPE NAME)', autoscale: '(-f FILENAME | TYPE NAME | TYPE/NAME) [--min=MINPODS] --max=MAXPODS [--cpu-percent=CPU]',
  logs: '[-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]', exec: '(POD | TYPE/NAME) [-c CONTAINER] [flags] -- COMMAND [args...]', attach: '(POD | TYPE/NAME) -c CONTAINER', 'port-forward': 'TYPE/NAME [options] [LOCAL_PORT:]REMOTE_PORT [...[LOCAL_PORT_N:]REMOTE_PORT_N]',
  cp: '<file-spec-src> <file-spec-dest>', debug: '(POD | TYPE[[.VERSION].GROUP]/NAME) [ -- COMMAND [args...] ]', drain: 'NODE', cordon: 'NODE', uncordon: 'NODE', taint: 'NODE NAME KEY_1=VAL_1:TAINT_EFFECT_1 ... KEY_N=VAL_N:TAINT_EFFECT_N',
  label: '[--overwrite] (-f FILENAME | TYPE NAME) KEY_1=VAL_1 ... KEY_N=VAL_N [--resource-version=version]', annotate: '[--overwrite] (-f FILENAME | TYPE NAME) KEY_1=VAL_1 ... KEY_N=VAL_N [--resource-version=version]',
  patch: '(-f FILENAME | TYPE NAME) [-p PATCH|--patch-file FILE]', replace: '-f FILENAME', diff: '-f FILENAME', explain: 'TYPE [--recursive=FALSE|TRUE] [--api-version=api-version-group] [-o|--output=plaintext|plaintext-openapiv2]',
  wait: '([-f FILENAME] | resource.group/resource.name | resource.group [(-l label | --all)]) [--for=create|--for=delete|--for condition=available|--for=jsonpath=\'{}\'[=value]]', kustomize: 'DIR', completion: 'SHELL',
  events: '[(-o|--output=)json|yaml|name|go-template|go-template-file|template|templatefile|jsonpath|jsonpath-as-json|jsonpath-file] [--for TYPE/NAME] [--watch] [--types=Normal,Warning]',
};

/** `kubectl NAME --help`. Options are listed with their defaults; what each does is not told. */
export function commandHelp(name: string, row: string): string {
  const [first = '', ...rest] = name.split(' ');
  const below = SUBCOMMANDS[name]?.split('\n').map((l) => l.split('|') as [string, string]);
  const mine = ROWS.find((r) => r.startsWith(`${first}|`))?.split('|')[1] ?? '';
  const short = rest.length === 0 ? mine : (Object.entries(SUBCOMMANDS).filter(([k]) => name.startsWith(`${k} `)).map(([k, rows]) => rows.split('\n').find((l) => l.startsWith(`${name.slice(k.length + 1)}|`))?.split('|')[1]).find(Boolean) ?? mine);
  let text = `${short}.\n${MORE[name] ?? ''}`;
  if (below) text += `\nAvailable Commands:\n${below.map(([n, s]) => `  ${n.padEnd(Math.max(13, ...below.map(([b]) => b.length)))} ${s}`).join('\n')}\n`;
  const flags = row.split(' ').filter((w) => w !== '').map((w) => /^(?:(\w)\/)?([\w-]+)(=)?(?:\?(\S*))?(\*)?$/.exec(w)!).sort((a, b) => (a[2]! < b[2]! ? -1 : 1));
  if (flags.length > 0) text += `\nOptions:\n${flags.map(([, s, n, value, , many]) => `    ${s ? `-${s}, ` : ''}--${n}=${many ? '[]' : value ? "''" : 'false'}`).join('\n')}\n`;
  const grouped = below !== undefined && flags.length === 0;
  text += `\nUsage:\n  kubectl ${name}${USAGE[name] ? ` ${USAGE[name]}` : ''} ${grouped ? '[flags] ' : ''}[options]\n\n`;
  return `${text}${below ? `Use "kubectl ${name} <command> --help" for more information about a given command.\n` : ''}${TAIL}`;
}

const OPTIONS = `as=''|Username to impersonate for the operation. User could be a regular user or a service account in a namespace.
as-group=[]|Group to impersonate for the operation, this flag can be repeated to specify multiple groups.
as-uid=''|UID to impersonate for the operation.
cache-dir='/root/.kube/cache'|Default cache directory
certificate-authority=''|Path to a cert file for the certificate authority
client-certificate=''|Path to a client certificate file for TLS
client-key=''|Path to a client key file for TLS
cluster=''|The name of the kubeconfig cluster to use
context=''|The name of the kubeconfig context to use
disable-compression=false|If true, opt-out of response compression for all requests to the server
insecure-skip-tls-verify=false|If true, the server's certificate will not be checked for validity. This will make your HTTPS connections insecure
kubeconfig=''|Path to the kubeconfig file to use for CLI requests.
log-flush-frequency=5s|Maximum number of seconds between log flushes
match-server-version=false|Require server version to match client version
-n, --namespace=''|If present, the namespace scope for this CLI request
password=''|Password for basic authentication to the API server
profile='none'|Name of profile to capture. One of (none|cpu|heap|goroutine|threadcreate|block|mutex)
profile-output='profile.pprof'|Name of the file to write the profile to
request-timeout='0'|The length of time to wait before giving up on a single server request. Non-zero values should contain a corresponding time unit (e.g. 1s, 2m, 3h). A value of zero means don't timeout requests.
-s, --server=''|The address and port of the Kubernetes API server
tls-server-name=''|Server name to use for server certificate validation. If it is not provided, the hostname used to contact the server is used
token=''|Bearer token for authentication to the API server
user=''|The name of the kubeconfig user to use
username=''|Username for basic authentication to the API server
-v, --v=0|number for the log level verbosity
vmodule=|comma-separated list of pattern=N settings for file-filtered logging (only works for the default text log format)
warnings-as-errors=false|Treat warnings received from the server as errors and exit with a non-zero exit code`;

/** `kubectl options`. */
export function options(): string {
  const rows = OPTIONS.split('\n').map((row) => {
    const at = row.indexOf('|');
    return `    ${row.startsWith('-') ? '' : '--'}${row.slice(0, at)}:\n\t${row.slice(at + 1)}\n`;
  });
  return `The following options can be passed to any command:\n\n${rows.join('\n')}\n`;
}
