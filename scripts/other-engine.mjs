// Bun or Deno, of versions pinned here and fetched from the npm registry: `node scripts/other-engine.mjs bun|deno [arguments]`.

import { endAs, runChild } from './pass-signals.mjs';
import { pinnedFile } from './pinned.mjs';
import { root } from './workspace.mjs';

/** The npm packages that hold the binaries themselves: the newest of November 2026, with the registry's integrity. */
const PINNED = {
  bun: {
    version: '1.4.5',
    file: 'bin/bun',
    platforms: {
      'linux-x64': [
        '@oven/bun-linux-x64',
        'sha512-IWX9BELoGHAUtMonkeSaNaZwXzRk+oDw6Mk+HBFXd3KHYIBNBsIGRupMZPcgNoDbJpLu6gAJjIoIVPZtt1aJ1g==',
      ],
      'linux-arm64': [
        '@oven/bun-linux-aarch64',
        'sha512-4BXmsSKnjOrlGWqZV4x/oWa7AVoR+B6lCXddMzOAXBIm3t50eslg9wb66gmtW1AamEQ1l1CDvmmruysEhqOWMg==',
      ],
      'darwin-arm64': [
        '@oven/bun-darwin-aarch64',
        'sha512-4MIFXHmctH2EhAxLXm2/qxNtv17dFtLJylvaOCsrgq6KSqHTs6eW5YSrJjRbJxYUJaR901fsN8JfZOa+CsWpWQ==',
      ],
    },
  },
  deno: {
    version: '2.9.6',
    file: 'deno',
    platforms: {
      'linux-x64': [
        '@deno/linux-x64-glibc',
        'sha512-3md4TKLCuzsLDmfOoC5KN7NAZaxSVkMgm64vg6foD00JBADCpYS2/5QqXfzgnP5ZQz3iLP9vBQJtEgc116OAoQ==',
      ],
      'linux-arm64': [
        '@deno/linux-arm64-glibc',
        'sha512-poqhoH9B3nYloigEMPT5t8HY+wBeiuea1An5Q7fqgJzP0SYmWsoS/oUnWO/pEiA4ofzIBy1Elt/in58xKtxEoQ==',
      ],
      'darwin-arm64': [
        '@deno/darwin-arm64',
        'sha512-V8uO1Aolrl/yvdMb5lOtgtigs8YuZBjrOrgviVMiYkQ0swymFfzkae1wZak4Xi24t7vf7d/eiMb/7ryjjVm+tg==',
      ],
    },
  },
};

const [engine = '', ...args] = process.argv.slice(2);
if (!Object.hasOwn(PINNED, engine)) {
  console.error('usage: node scripts/other-engine.mjs bun|deno [arguments of it]');
  process.exit(2);
}
const { version, file, platforms } = PINNED[engine];
const pin = platforms[`${process.platform}-${process.arch}`];
if (!pin) {
  console.error(`no ${engine} is pinned for ${process.platform} ${process.arch}`);
  process.exit(1);
}
const [name, integrity] = pin;
endAs(await runChild(pinnedFile(root, { name, version, integrity }, file), args));
