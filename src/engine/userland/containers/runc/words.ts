/** What runc's help says beneath a subcommand's usage, and its description, where that is more than the id's meaning. Source: runc(8) 1.1. */

export interface Words {
  where: string;
  description: string;
}

export const WORDS: Readonly<Record<string, Words>> = {
  checkpoint: {
    where: '\n\nWhere "<container-id>" is the name for the instance of the container to be\ncheckpointed.',
    description: '   The checkpoint command saves the state of the container instance.',
  },
  delete: {
    where: '\n\nWhere "<container-id>" is the name for the instance of the container.\n\nEXAMPLE:\nFor example, if the container id is "ubuntu01" and runc list currently shows the\nstatus of "ubuntu01" as "stopped" the following will delete resources held for\n"ubuntu01" removing "ubuntu01" from the runc list of containers:\n\n       # runc delete ubuntu01',
    description: '',
  },
  events: {
    where: '\n\nWhere "<container-id>" is the name for the instance of the container.',
    description: '   The events command displays information about the container. By default the\ninformation is displayed once every 5 seconds.',
  },
  exec: {
    where: '\n\nWhere "<container-id>" is the name for the instance of the container and\n"<command>" is the command to be executed in the container.\n"<command>" can\'t be empty unless a "-p" flag provided.\n\nEXAMPLE:\nFor example, if the container is configured to run the linux ps command the\nfollowing will output a list of processes running in the container:\n\n       # runc exec <container-id> ps',
    description: '',
  },
  features: {
    where: '',
    description: '   Show the enabled features.\n   The result is parsable as a JSON.\n   See https://pkg.go.dev/github.com/opencontainers/runc/types/features for the type definition.\n   The types are experimental and subject to change.',
  },
  kill: {
    where: '\n\nWhere "<container-id>" is the name for the instance of the container and\n"[signal]" is the signal to be sent to the init process.\n\nEXAMPLE:\nFor example, if the container id is "ubuntu01" the following will send a "KILL"\nsignal to the init process of the "ubuntu01" container:\n\n       # runc kill ubuntu01 KILL',
    description: '',
  },
  list: {
    where: '\n\nWhere the given root is specified via the global option "--root"\n(default: "/run/runc").\n\nEXAMPLE 1:\nTo list containers created via the default "--root":\n       # runc list\n\nEXAMPLE 2:\nTo list containers created using a non-default value for "--root":\n       # runc --root value list',
    description: '',
  },
  pause: {
    where: '\n\nWhere "<container-id>" is the name for the instance of the container to be\npaused. ',
    description: '   The pause command suspends all processes in the instance of the container.\n\nUse runc list to identify instances of containers and their current status.',
  },
  restore: {
    where: '\n\nWhere "<container-id>" is the name for the instance of the container to be\nrestored.',
    description: '   Restores the saved state of the container instance that was previously saved\nusing the runc checkpoint command.',
  },
  resume: {
    where: '\n\nWhere "<container-id>" is the name for the instance of the container to be\nresumed.',
    description: '   The resume command resumes all processes in the instance of the container.\n\nUse runc list to identify instances of containers and their current status.',
  },
  start: {
    where: '\n\nWhere "<container-id>" is your name for the instance of the container that you\nare starting. The name you provide for the container instance must be unique on\nyour host.',
    description: '   The start command executes the user defined process in a created container.',
  },
  state: {
    where: '\n\nWhere "<container-id>" is your name for the instance of the container.',
    description: '   The state command outputs current state information for the\ninstance of a container.',
  },
};
