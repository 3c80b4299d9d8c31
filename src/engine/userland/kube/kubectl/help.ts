/** kubectl without a command: what there is. Rows: group, command, text. */
const ROWS: readonly [string, string, string][] = [
  ['Basic Commands (Beginner)', 'create', 'Create a resource from a file or from stdin'],
  ['Basic Commands (Beginner)', 'expose', 'Take a replication controller, service, deployment or pod and expose it as a new Kubernetes service'],
  ['Basic Commands (Beginner)', 'run', 'Run a particular image on the cluster'],
  ['Basic Commands (Beginner)', 'set', 'Set specific features on objects'],
  ['Basic Commands (Intermediate)', 'explain', 'Get documentation for a resource'],
  ['Basic Commands (Intermediate)', 'get', 'Display one or many resources'],
  ['Basic Commands (Intermediate)', 'delete', 'Delete resources by file names, stdin, resources and names, or by resources and label selector'],
  ['Deploy Commands', 'rollout', 'Manage the rollout of a resource'],
  ['Deploy Commands', 'scale', 'Set a new size for a deployment, replica set, or replication controller'],
  ['Cluster Management Commands', 'cluster-info', 'Display cluster information'],
  ['Cluster Management Commands', 'top', 'Display resource (CPU/memory) usage'],
  ['Cluster Management Commands', 'cordon', 'Mark node as unschedulable'],
  ['Cluster Management Commands', 'uncordon', 'Mark node as schedulable'],
  ['Cluster Management Commands', 'drain', 'Drain node in preparation for maintenance'],
  ['Cluster Management Commands', 'taint', 'Update the taints on one or more nodes'],
  ['Troubleshooting and Debugging Commands', 'describe', 'Show details of a specific resource or group of resources'],
  ['Troubleshooting and Debugging Commands', 'logs', 'Print the logs for a container in a pod'],
  ['Troubleshooting and Debugging Commands', 'exec', 'Execute a command in a container'],
  ['Troubleshooting and Debugging Commands', 'events', 'List events'],
  ['Advanced Commands', 'diff', 'Diff the live version against a would-be applied version'],
  ['Advanced Commands', 'apply', 'Apply a configuration to a resource by file name or stdin'],
  ['Advanced Commands', 'patch', 'Update fields of a resource'],
  ['Advanced Commands', 'replace', 'Replace a resource by file name or stdin'],
  ['Advanced Commands', 'wait', 'Experimental: Wait for a specific condition on one or many resources'],
  ['Settings Commands', 'label', 'Update the labels on a resource'],
  ['Settings Commands', 'annotate', 'Update the annotations on a resource'],
  ['Other Commands', 'api-resources', 'Print the supported API resources on the server'],
  ['Other Commands', 'api-versions', 'Print the supported API versions on the server, in the form of "group/version"'],
  ['Other Commands', 'config', 'Modify kubeconfig files'],
  ['Other Commands', 'version', 'Print the client and server version information'],
];

export function help(): string {
  let text = 'kubectl controls the Kubernetes cluster manager.\n\n Find more information at: https://kubernetes.io/docs/reference/kubectl/\n';
  let group = '';
  for (const [title, name, says] of ROWS) {
    if (title !== group) text += `\n${title}:\n`;
    group = title;
    text += `  ${name.padEnd(15)} ${says}\n`;
  }
  return `${text}\nUsage:\n  kubectl [flags] [options]\n\nUse "kubectl <command> --help" for more information about a given command.\nUse "kubectl options" for a list of global command-line options (applies to all commands).\n`;
}
