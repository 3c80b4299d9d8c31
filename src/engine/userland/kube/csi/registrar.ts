/**
 * csi-node-driver-registrar: tells the kubelet of a driver through a socket in its plugins' registry, and stays.
 * Source: kubernetes-csi/node-driver-registrar 2.12, kubelet plugin registration v1.
 */
import type { Body } from '../../../kernel/sys.ts';
import { driverName, flagOf, socketOf } from './provisioner.ts';
import { klog, serveRpc } from './rpc.ts';

export function* csiRegistrar(argv: readonly string[]): Body {
  yield* klog('main.go:150', '"Version" version="v2.12.0"');
  yield* klog('main.go:151', '"Running node-driver-registrar" mode=""');
  const driver = yield* driverName(socketOf(argv));
  const endpoint = flagOf(argv, 'kubelet-registration-path', `/var/lib/kubelet/plugins/${driver}/csi.sock`);
  const socket = `/registration/${driver}-reg.sock`;
  yield* klog('node_register.go:55', `"Starting Registration Server" socketPath="${socket}"`);
  return yield* serveRpc(socket, {
    // biome-ignore lint/correctness/useYield: the type of a method
    * 'Registration/GetInfo'() {
      return { type: 'CSIPlugin', name: driver, endpoint, supported_versions: ['1.0.0'] };
    },
    * 'Registration/NotifyRegistrationStatus'(r) {
      yield* klog('main.go:107', `"Received NotifyRegistrationStatus call" status="plugin_registered:${r.plugin_registered}"`);
      return {};
    },
  });
}
