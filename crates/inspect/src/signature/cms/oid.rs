//! Object identifiers as the bytes by which they are compared: an arc may be of any size.

// Contents.
/// 1.2.840.113549.1.7.2
pub(crate) const SIGNED_DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
/// 1.2.840.113549.1.7.1
pub(crate) const DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
/// 1.2.840.113549.1.9.16.1.4
pub(crate) const TIME_STAMP_INFO: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x04";
/// 1.3.6.1.4.1.311.2.1.4
pub(crate) const INDIRECT_DATA: &[u8] = b"\x2b\x06\x01\x04\x01\x82\x37\x02\x01\x04";
/// 1.3.6.1.4.1.311.10.1
pub(crate) const TRUST_LIST: &[u8] = b"\x2b\x06\x01\x04\x01\x82\x37\x0a\x01";
/// 1.3.6.1.4.1.311.12.1.1
pub(crate) const CATALOGUE_LIST: &[u8] = b"\x2b\x06\x01\x04\x01\x82\x37\x0c\x01\x01";

// What a digest in a signature is of.
/// 1.3.6.1.4.1.311.2.1.15: a portable executable
pub(crate) const PROGRAM: &[u8] = b"\x2b\x06\x01\x04\x01\x82\x37\x02\x01\x0f";
/// 1.3.6.1.4.1.311.2.1.25: a cabinet
pub(crate) const CABINET: &[u8] = b"\x2b\x06\x01\x04\x01\x82\x37\x02\x01\x19";
/// 1.3.6.1.4.1.311.2.1.30: another form, such as installers and scripts
pub(crate) const SUBJECT_INFO: &[u8] = b"\x2b\x06\x01\x04\x01\x82\x37\x02\x01\x1e";

// Attributes.
/// 1.2.840.113549.1.9.3
pub(crate) const CONTENT_TYPE: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03";
/// 1.2.840.113549.1.9.4
pub(crate) const MESSAGE_DIGEST: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04";
/// 1.2.840.113549.1.9.5
pub(crate) const SIGNING_TIME: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x05";
/// 1.2.840.113549.1.9.6
pub(crate) const COUNTER_SIGNATURE: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x06";
/// 1.3.6.1.4.1.311.3.3.1
pub(crate) const TIME_STAMP_TOKEN: &[u8] = b"\x2b\x06\x01\x04\x01\x82\x37\x03\x03\x01";
/// 1.3.6.1.4.1.311.2.4.1
pub(crate) const NESTED_SIGNATURE: &[u8] = b"\x2b\x06\x01\x04\x01\x82\x37\x02\x04\x01";

// Extensions of certificates.
/// 2.5.29.15
pub(crate) const KEY_USAGE: &[u8] = b"\x55\x1d\x0f";
/// 2.5.29.17
pub(crate) const ALTERNATIVE_NAME: &[u8] = b"\x55\x1d\x11";
/// 2.5.29.19
pub(crate) const BASIC_CONSTRAINTS: &[u8] = b"\x55\x1d\x13";
/// 2.5.29.31
pub(crate) const REVOCATION_LISTS: &[u8] = b"\x55\x1d\x1f";
/// 2.5.29.32
pub(crate) const POLICIES: &[u8] = b"\x55\x1d\x20";
/// 2.5.29.33
pub(crate) const POLICY_MAPPINGS: &[u8] = b"\x55\x1d\x21";
/// 2.5.29.36
pub(crate) const POLICY_CONSTRAINTS: &[u8] = b"\x55\x1d\x24";
/// 2.5.29.37
pub(crate) const PURPOSES: &[u8] = b"\x55\x1d\x25";

// Purposes.
/// 1.3.6.1.5.5.7.3.3
pub(crate) const CODE_SIGNING: &[u8] = b"\x2b\x06\x01\x05\x05\x07\x03\x03";
/// 1.3.6.1.5.5.7.3.8
pub(crate) const TIME_STAMPING: &[u8] = b"\x2b\x06\x01\x05\x05\x07\x03\x08";
/// 1.3.6.1.4.1.311.10.3.13: a time stamp does not outlast the signer's certificate.
pub(crate) const LIFETIME_SIGNING: &[u8] = b"\x2b\x06\x01\x04\x01\x82\x37\x0a\x03\x0d";
/// 1.3.6.1.4.1.311.10.3.9
pub(crate) const ROOT_LIST_SIGNER: &[u8] = b"\x2b\x06\x01\x04\x01\x82\x37\x0a\x03\x09";
/// 2.5.29.37.0
pub(crate) const ANY_PURPOSE: &[u8] = b"\x55\x1d\x25\x00";

// Parts of names.
/// 2.5.4.3
pub(crate) const COMMON_NAME: &[u8] = b"\x55\x04\x03";
/// 2.5.4.10
pub(crate) const ORGANIZATION: &[u8] = b"\x55\x04\x0a";
/// 2.5.4.11
pub(crate) const ORGANIZATIONAL_UNIT: &[u8] = b"\x55\x04\x0b";

// Properties of a root in a trust list.
/// 1.3.6.1.4.1.311.10.11.9
pub(crate) const ROOT_PURPOSES: &[u8] = b"\x2b\x06\x01\x04\x01\x82\x37\x0a\x0b\x09";
/// 1.3.6.1.4.1.311.10.11.98
pub(crate) const ROOT_SHA256: &[u8] = b"\x2b\x06\x01\x04\x01\x82\x37\x0a\x0b\x62";
/// 1.3.6.1.4.1.311.10.11.104
pub(crate) const ROOT_DISALLOWED_FROM: &[u8] = b"\x2b\x06\x01\x04\x01\x82\x37\x0a\x0b\x68";
/// 1.3.6.1.4.1.311.10.11.122
pub(crate) const ROOT_DISALLOWED_PURPOSES: &[u8] = b"\x2b\x06\x01\x04\x01\x82\x37\x0a\x0b\x7a";
/// 1.3.6.1.4.1.311.10.11.126
pub(crate) const ROOT_NOT_BEFORE: &[u8] = b"\x2b\x06\x01\x04\x01\x82\x37\x0a\x0b\x7e";
/// 1.3.6.1.4.1.311.10.11.127
pub(crate) const ROOT_NOT_BEFORE_PURPOSES: &[u8] = b"\x2b\x06\x01\x04\x01\x82\x37\x0a\x0b\x7f";

// Algorithms.
/// 1.2.840.113549.2.2
pub(crate) const MD2: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x02\x02";
/// 1.2.840.113549.2.5
pub(crate) const MD5: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x02\x05";
/// 1.3.14.3.2.26
pub(crate) const SHA1: &[u8] = b"\x2b\x0e\x03\x02\x1a";
/// 2.16.840.1.101.3.4.2.1
pub(crate) const SHA256: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x01";
/// 2.16.840.1.101.3.4.2.2
pub(crate) const SHA384: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x02";
/// 2.16.840.1.101.3.4.2.3
pub(crate) const SHA512: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x03";
/// 1.2.840.113549.1.1.1
pub(crate) const RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
/// 1.2.840.113549.1.1.2
pub(crate) const RSA_MD2: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x02";
/// 1.2.840.113549.1.1.4
pub(crate) const RSA_MD5: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04";
/// 1.2.840.113549.1.1.5
pub(crate) const RSA_SHA1: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05";
/// 1.3.14.3.2.29, in old chains
pub(crate) const RSA_SHA1_OLD: &[u8] = b"\x2b\x0e\x03\x02\x1d";
/// 1.2.840.113549.1.1.11
pub(crate) const RSA_SHA256: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b";
/// 1.2.840.113549.1.1.12
pub(crate) const RSA_SHA384: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c";
/// 1.2.840.113549.1.1.13
pub(crate) const RSA_SHA512: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d";
/// 1.2.840.10045.2.1
pub(crate) const EC: &[u8] = b"\x2a\x86\x48\xce\x3d\x02\x01";
/// 1.2.840.10045.4.3.2
pub(crate) const ECDSA_SHA256: &[u8] = b"\x2a\x86\x48\xce\x3d\x04\x03\x02";
/// 1.2.840.10045.4.3.3
pub(crate) const ECDSA_SHA384: &[u8] = b"\x2a\x86\x48\xce\x3d\x04\x03\x03";
/// 1.2.840.10045.4.3.4
pub(crate) const ECDSA_SHA512: &[u8] = b"\x2a\x86\x48\xce\x3d\x04\x03\x04";
/// 1.2.840.10045.3.1.7
pub(crate) const P256: &[u8] = b"\x2a\x86\x48\xce\x3d\x03\x01\x07";
/// 1.3.132.0.34
pub(crate) const P384: &[u8] = b"\x2b\x81\x04\x00\x22";
