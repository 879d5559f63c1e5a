/* The patterns of secrets. Generated from the server's; `make docs` writes them anew.
[[[cog
import secrets_of_page
print(secrets_of_page.typescript())
]]] */
/** Folders whose files contain credentials. */
export const FOLDERS = ['.ssh', '.aws', '.gnupg', '.azure', '.kube', '.docker'];

/** Names of files with credentials, in any case. */
export const FILES = [
  '\\.env(\\..*)?|.*\\.env',
  '\\.netrc|_netrc|\\.pgpass|\\.npmrc|\\.pypirc|\\.git-credentials|\\.htpasswd',
  'id_(rsa|dsa|ecdsa|ed25519)(\\.pub)?',
  'known_hosts|authorized_keys',
  '.*\\.(pem|key|p12|pfx|jks|keystore|kdbx|ppk|asc|gpg)',
  'credentials(\\.[\\p{L}\\p{N}_]+)?|secrets?(\\.[\\p{L}\\p{N}_]+)?',
  '(?=.*service_account).*\\.json',
  '.*\\.tfvars'
];

/** Secrets anywhere in a line. */
export const TEXTS = ['-----BEGIN [A-Z ]*PRIVATE KEY'];

/** Keys of services, after the start of a word. */
export const KEYS = [
  'gh[pousr]_[A-Za-z0-9]{20}',
  'github_pat_\\w{20}',
  'sk-[A-Za-z0-9_-]{20}',
  'hf_[A-Za-z0-9]{20}',
  'xox[abprs]-[A-Za-z0-9-]{10}',
  'AKIA[0-9A-Z]{16}',
  'AIza[0-9A-Za-z_-]{30}',
  '[rs]k_(?:live|test)_(?=[A-Za-z]*[0-9])[A-Za-z0-9]{10}',
  'glpat-[\\w-]{20}',
  'A(?:SIA|BIA|CCA)[A-Z0-9]{16}(?![A-Za-z0-9])',
  '(?:Account|SharedAccess)Key=[A-Za-z0-9+/]{40}',
  'sig=[A-Za-z0-9%+/]{40}',
  'npm_[A-Za-z0-9]{36}',
  'pypi-AgE[\\w-]{50}',
  'SG\\.[\\w-]{20,24}\\.[\\w-]{39}',
  '(?:SK|AC|dapi)[0-9a-f]{32}',
  'ya29\\.[\\w-]{20}',
  'GOCSPX-[\\w-]{20}',
  '[0-9]{8,10}:AA[\\w-]{33}',
  '[MNO][\\w-]{23,25}\\.[\\w-]{6}\\.[\\w-]{27}',
  'do[opr]_v1_[0-9a-f]{64}',
  'shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}',
  '[0-9a-f]{32}-us[0-9]{1,2}(?![0-9])',
  'gsk_[A-Za-z0-9]{40}',
  'nvapi-[\\w-]{40}',
  'glsa_[A-Za-z0-9]{32}',
  'dckr_pat_[\\w-]{20}',
  'hvs\\.[\\w-]{20}',
  'whsec_[A-Za-z0-9]{24}',
  'r8_[\\w.-]{20}',
  'pplx-[\\w.-]{20}',
  'pcsk_[\\w.-]{20}',
  'lin_api_[\\w.-]{20}',
  'ntn_[\\w.-]{20}',
  'pscale_tkn_[\\w.-]{20}',
  'figd_[\\w.-]{20}',
  'xai-[\\w.-]{20}',
  'sntrys_[\\w.-]{20}',
  'PMAK-[\\w.-]{20}',
  'NRAK-[\\w.-]{20}',
  'ATATT3[\\w.-]{20}',
  'tvly-[\\w.-]{20}',
  'lsv2_(?:pt|sk)_[\\w.-]{20}',
  'vercel_blob_rw_[\\w.-]{20}',
  'AGE-SECRET-KEY-1[\\w.-]{20}',
  'dp\\.st\\.[\\w.-]{20}',
  'sk\\.eyJ[\\w.-]{20}',
  'pat[A-Za-z0-9]{14}\\.[0-9a-f]{64}',
  'discord(?:app)?\\.com/api/webhooks/[0-9]+/[\\w-]{20}'
];
// [[[end]]]
