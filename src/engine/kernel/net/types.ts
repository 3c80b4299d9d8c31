/** Network namespaces, links, addresses and routes as records. One record a link; both ends of a veth name each other. */
export interface NetNamespace {
  ino: number;
  links: Link[];
  routes: Route[];
  nextIndex: number;
  /** Listening and connected sockets by "address:port". */
  ports: Map<string, unknown>;
  owner: unknown;
}

export interface Link {
  index: number;
  name: string;
  kind: 'loopback' | 'ether' | 'veth' | 'bridge' | 'dummy' | 'vxlan';
  mac: string;
  mtu: number;
  up: boolean;
  /** Index of the bridge it is a port of. */
  master: number | null;
  /** The other end of a veth. */
  peer: { ns: NetNamespace; index: number } | null;
  addresses: { address: string; prefix: number; scope: 'host' | 'link' | 'global' }[];
  stats: { rxBytes: number; rxPackets: number; txBytes: number; txPackets: number };
}

export interface Route {
  /** "default" or a prefix "172.17.0.0/16". */
  to: string;
  via: string | null;
  dev: string;
  src: string | null;
  proto: string;
  scope: string;
  metric: number;
}
