//! The layout of keys, octet by octet: a promise to every store ever written.

use mesh_common::entropy::SeededEntropy;
use mesh_common::time::Timestamp;

use super::*;

const ACCOUNT: AccountId = AccountId::from_octets([
    0x03, 0xff, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf,
]);

fn hex(key: &[u8]) -> String {
    key.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The layout is a promise to every store ever written: a change here needs a migration.
#[test]
fn the_table_of_keys_is_as_it_was_promised() {
    let account = AccountKeys::of(ACCOUNT);
    let aid = "2003ffa2a3a4a5a6a7a8a9aaabacadaeaf";
    let address = AccountAddress::parse("Al@B.example").unwrap();
    let hash = [0x11; 16];
    let hash_text = "11".repeat(16);
    let due = Due {
        at: Timestamp::from_millis(0x0102),
        kind: DueKind::Purge,
        account: ACCOUNT,
        rest: vec![0x77],
    };
    let rows = [
        (meta(), "006d657461".to_owned()),
        (node(NodeId([0xaa; 16])), format!("01{}", "aa".repeat(16))),
        (part(PartitionId(1_023)), "0203ff".to_owned()),
        (unit(ShardId(255).into()), "0204ff".to_owned()),
        (route(), "03".to_owned()),
        (dir(&address), "10622e6578616d706c6500616c".to_owned()),
        (account.record(), format!("{aid}6d")),
        (account.tip(), format!("{aid}74")),
        (account.head(2), format!("{aid}680002")),
        (account.frame(2, 7), format!("{aid}6600020000000000000007")),
        (
            account.chunk(2, 7, 1),
            format!("{aid}62000200000000000000070001"),
        ),
        (
            account.lookup(LookupKind::UniqueId, 2, hash),
            format!("{aid}6b750002{hash_text}"),
        ),
        (
            account.lookup(LookupKind::Message, 2, hash),
            format!("{aid}6b6d0002{hash_text}"),
        ),
        (
            account.superseded(2, 7),
            format!("{aid}6f00020000000000000007"),
        ),
        (
            account.device("MAAA"),
            format!("{aid}64{}", hex(&hash16(&[b"MAAA"]))),
        ),
        (
            account.retired("MAAA"),
            format!("{aid}76{}", hex(&hash16(&[b"MAAA"]))),
        ),
        (account.mark(2, 7), format!("{aid}6100020000000000000007")),
        (account.folded(2), format!("{aid}7a0002")),
        (account.replay(hash), format!("{aid}72{hash_text}")),
        (account.connection(hash), format!("{aid}63{hash_text}")),
        (account.seen(hash), format!("{aid}69{hash_text}")),
        (account.delivery(hash), format!("{aid}73{hash_text}")),
        (account.exchange(hash), format!("{aid}78{hash_text}")),
        (account.tally(), format!("{aid}71")),
        (account.posting(), format!("{aid}6c")),
        (account.sending(hash), format!("{aid}6e{hash_text}")),
        (account.recipient(hash), format!("{aid}77{hash_text}")),
        (wake_in(PartitionId(1_023)), "2203ff".to_owned()),
        (
            due.key(),
            format!("2303ff000000000000010270{}77", &aid[2..]),
        ),
    ];
    for (key, expected) in rows {
        assert_eq!(hex(&key), expected);
    }
    assert_eq!(hex(&hash16(&[b"MAAA"])).len(), 32);
}

#[test]
fn what_is_built_is_read_again() {
    let account = AccountKeys::of(ACCOUNT);
    let address = AccountAddress::parse("al@b.example").unwrap();
    assert_eq!(
        address_of_dir(&dir(&address)).as_deref(),
        Some(address.canonical())
    );
    assert_eq!(
        partition_of_part(&part(PartitionId(5))),
        Some(PartitionId(5))
    );
    assert_eq!(account.container_of_head(&account.head(9)), Some(9));
    assert_eq!(account.container_of_head(&account.tip()), None);
    assert_eq!(account.index_of_frame(3, &account.frame(3, 77)), Some(77));
    assert_eq!(account.index_of_frame(4, &account.frame(3, 77)), None);
    assert_eq!(
        account.place_of_chunk(3, &account.chunk(3, 77, 2)),
        Some((77, 2))
    );
    let due = Due {
        at: Timestamp::from_secs(1_700_000_000),
        kind: DueKind::Replay,
        account: ACCOUNT,
        rest: vec![1; 16],
    };
    assert_eq!(Due::parse(&due.key()), Some(due));
    assert_eq!(Due::parse(&account.tip()), None);
}

#[test]
fn keys_sort_as_what_they_mean() {
    let account = AccountKeys::of(ACCOUNT);
    assert!(account.frame(1, 255) < account.frame(1, 256));
    assert!(account.frame(1, u64::MAX) < account.frame(2, 0));
    let frames = account.frames(1, 2, 4);
    assert!(!frames.contains(&account.frame(1, 1)));
    assert!(frames.contains(&account.frame(1, 3)));
    assert!(!frames.contains(&account.frame(1, 4)));
    let chunks = account.chunks(1, 2, 4);
    assert!(chunks.contains(&account.chunk(1, 3, u16::MAX)));
    assert!(!chunks.contains(&account.chunk(1, 4, 0)));
    let now = Timestamp::from_secs(10);
    let range = due(ACCOUNT.partition(), now);
    let at = |at| Due {
        at,
        kind: DueKind::Release,
        account: ACCOUNT,
        rest: vec![0xff; 40],
    };
    assert!(range.contains(&at(now).key()));
    assert!(!range.contains(&at(now + std::time::Duration::from_millis(1)).key()));
}

#[test]
fn an_account_id_begins_with_its_partition() {
    let mut entropy = SeededEntropy::new(1);
    let one = AccountId::draw(PartitionId(700), &mut entropy);
    let other = AccountId::draw(PartitionId(700), &mut entropy);
    assert_eq!(one.partition(), PartitionId(700));
    assert_ne!(one, other);
    assert!(
        !AccountKeys::of(one)
            .all()
            .contains(&AccountKeys::of(other).tip())
    );
}

#[test]
fn one_hash_stands_for_one_list_of_texts() {
    assert_ne!(hash16(&[b"ab", b"c"]), hash16(&[b"a", b"bc"]));
}

#[test]
fn keys_of_nodes_and_of_what_is_owned_read_back() {
    for one in Unit::all() {
        assert_eq!(unit_of_part(&unit(one)), Some(one));
    }
    assert_eq!(unit_of_part(&[PART, 0x05, 0x00]), None);
    let id = NodeId([7; 16]);
    assert_eq!(node_of_key(&node(id)), Some(id));
    assert!(nodes().contains(&node(id)) && !nodes().contains(&meta()));
    assert_eq!(node_of_key(&part(PartitionId(1))), None);
}
